"""The house stays small, and what is not documented does not exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted([*ROOT.glob("xmppbus/**/*.py"), *ROOT.glob("plugins/**/*.py")])
EVERYTHING = sorted([*CODE, *ROOT.glob("tests/**/*.py")])
WIRING = {"config", "options", "paths", "listening", "app", "web", "house", "__main__", "script"}
TABLE = ROOT / "xmppbus/limits.py"  # all bounds stand in one file, however many there are: it is looked up, not read
CORE = [path for path in ROOT.glob("xmppbus/*.py") if path.stem not in WIRING and path != TABLE]
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "xmppbus", "plugins", "tests", "docker-compose.yml", "docs"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
UNITS = {"KIB", "MIB", "GIB"}
FILE_LINES, FUNCTION_LINES, CORE_LINES = 400, 70, 1_800


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    return listed.stdout.splitlines()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def test_the_top_level_is_fixed() -> None:
    """Dot-files and these, nothing else."""
    top = {name.split("/")[0] for name in tracked()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_the_core_is_readable_in_an_afternoon() -> None:
    """The files directly in xmppbus/, bar the wiring."""
    assert sum(len(path.read_text().splitlines()) for path in CORE) <= CORE_LINES


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_and_no_function_is_long(path: Path) -> None:
    """A file is one room, a function one thought."""
    assert path == TABLE or len(path.read_text().splitlines()) <= FILE_LINES
    long = [node.name for node in functions(path) if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES]
    assert not long


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_say_what_is_inside(path: Path) -> None:
    """No drawer, and no module that hides one of the standard library."""
    assert path.stem not in FORBIDDEN_NAMES
    if path.parent == ROOT / "xmppbus":
        assert path.stem == "__main__" or path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_module_class_and_function_says_what_for(path: Path) -> None:
    """In a docstring; plugins under forty lines and empty packages may be short."""
    tree = ast.parse(path.read_text())
    if not tree.body:
        return
    assert ast.get_docstring(tree), "the module"
    shipped = path.parent.name == "plugins"
    for node in tree.body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or node.name[0] == "_":
            continue
        if not (shipped and isinstance(node, ast.FunctionDef)):
            assert ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_exemption_has_a_reason_beside_it(path: Path) -> None:
    """`noqa` and `type: ignore` without a sentence are not understood later."""
    bare = [
        number
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r"#\s*(noqa|type:\s*ignore)", line)
        and not re.search(r"#\s*(noqa|type:\s*ignore)[^#]*#\s*\w+", line)
    ]
    assert not bare


def test_tests_do_not_sleep() -> None:
    """They wait for a condition with a deadline."""
    sleepers = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("tests/**/test_*.py")
        if re.search(r"\btime\.sleep\((?!0\))|\basyncio\.sleep\([1-9]", path.read_text())
    ]
    assert not sleepers


def test_every_link_in_the_docs_leads_somewhere() -> None:
    """Relative ones, in every page."""
    broken = []
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        broken += [
            f"{page.relative_to(ROOT)}: {target}"
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
            if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
        ]
    assert not broken


def test_every_page_can_be_found_from_the_readme() -> None:
    """In one step or a few."""
    seen: set[Path] = set()
    queue = [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        queue += [(page.parent / each).resolve() for each in targets if "://" not in each]
    lost = {path.resolve() for path in ROOT.glob("docs/**/*.md")} - {path.resolve() for path in seen}
    assert not lost


def test_every_limit_has_a_reason() -> None:
    """A docstring under it, or under the group it stands in."""
    body = ast.parse((ROOT / "xmppbus/limits.py").read_text()).body
    waiting: list[str] = []
    for node in body[1:]:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            waiting.append(node.targets[0].id)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            waiting.clear()
    assert not [name for name in waiting if name not in UNITS]


def test_every_limit_is_used() -> None:
    """One that bounds nothing is a promise that nobody keeps."""
    names = re.findall(r"^([A-Z_0-9]+) = ", (ROOT / "xmppbus/limits.py").read_text(), re.MULTILINE)
    code = "\n".join(path.read_text() for path in CODE if path.name != "limits.py")
    unused = [name for name in names if not re.search(rf"\b{name}\b", code)]
    assert not [name for name in unused if name not in UNITS]


def test_every_limit_has_a_name_of_its_own() -> None:
    """A second one of the same name would silently take the first one's place."""
    names = re.findall(r"^([A-Z_0-9]+) = ", (ROOT / "xmppbus/limits.py").read_text(), re.MULTILINE)
    assert len(names) == len(set(names))


def test_every_test_that_the_docs_lean_on_is_there() -> None:
    """A promise that names its proof must not outlive it."""
    tests = {path: path.read_text() for path in ROOT.glob("tests/**/*.py")}
    defined = set(re.findall(r"def (test_\w+)", "\n".join(tests.values())))
    files = {str(path.relative_to(ROOT)) for path in tests}
    missing = []
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        named = re.findall(r"`(tests/[\w/]+\.py|test_\w+(?!\.py))`", page.read_text())
        missing += [f"{page.name}: {each}" for each in named if each not in files | defined]
    assert not missing
