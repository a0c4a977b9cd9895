"""nginx on a free port of loopback, with the lines of a page of the documentation."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tests.support.missing import need


def configured(directory: Path, lines: str, here: Iterable[tuple[str, str]]) -> list[str]:
    """Write nginx's config into a directory; how to start it. `here`: what stands in the lines, and what it is here."""
    need("nginx")
    for stands, becomes in here:
        assert stands in lines, f"the page no longer says {stands!r}"
        lines = lines.replace(stands, becomes)
    user = "user root;\n" if os.geteuid() == 0 else ""
    paths = "".join(
        f"{name}_temp_path {directory / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = directory / "nginx.conf"
    config.write_text(
        f"{user}daemon off;\npid {directory / 'nginx.pid'};\nerror_log {directory / 'nginx.log'};\nevents {{}}\n"
        f"http {{\ninclude /etc/nginx/mime.types;\naccess_log off;\n{paths}{lines}}}\n"
    )
    return ["nginx", "-p", str(directory), "-c", str(config)]
