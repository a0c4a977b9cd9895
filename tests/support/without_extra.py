"""An environment in which an extra is not installed, and everything else is as in the one that runs the tests."""

import sysconfig
import venv
from importlib import metadata
from pathlib import Path

OMEMO = ("slixmpp-omemo", "OMEMO", "Oldmemo", "Twomemo", "DoubleRatchet", "X3DH", "XEdDSA")
"""What `pip install xmppbus[omemo]` brings that `pip install xmppbus` does not, as far as nothing else needs it."""


def program_without(directory: Path, packages: tuple[str, ...]) -> tuple[str, ...]:
    """The command line that runs xmppbus where those packages are not. The environment is made in `directory`."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(directory)
    python = directory / "bin" / "python"
    given = Path(sysconfig.get_path("purelib"))
    bare = Path(sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)}))
    left_out = {file.parts[0] for name in packages for file in metadata.files(name) or ()}
    assert left_out, packages
    for entry in given.iterdir():
        if entry.name not in left_out and not (bare / entry.name).exists():
            (bare / entry.name).symlink_to(entry)
    return (str(python), "-m", "xmppbus")
