"""The generated reference is complete and up to date."""

import re
from pathlib import Path

import msgspec.inspect as types
import pytest

from tests.reference import bot_page, config_page, errors_page
from tests.reference.__main__ import PAGES
from tests.reference.pages import REFERENCE
from xmppbus.bot import words
from xmppbus.bot.access import Action
from xmppbus.bot.command import Command, Kind
from xmppbus.config import load
from xmppbus.errors import ANSWERS, Code
from xmppbus.options import Options


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_up_to_date(path: Path) -> None:
    """`python -m tests.reference` writes it."""
    assert path.read_text() == PAGES[path]()


def test_every_action_and_every_kind_of_argument_of_the_bot_is_described() -> None:
    """A new one can't be forgotten."""
    assert set(bot_page.ACTIONS) == set(Action)
    assert set(bot_page.KINDS) == set(Kind)


def test_every_refusal_and_every_exit_code_is_explained() -> None:
    """A new one can't be forgotten."""
    assert set(errors_page.MEANINGS) == set(ANSWERS) == set(Code)
    assert set(errors_page.exits()) <= set(errors_page.EXITS)


@pytest.mark.parametrize("command", bot_page.declared().values(), ids=lambda each: each.name)
def test_a_command_with_arguments_has_an_example_that_it_takes(command: Command) -> None:
    """`help`, the answer to what can't be read, and the page show it."""
    assert command.help
    assert command.help[0].isupper()
    assert command.example or not command.arguments
    if command.example:
        assert words.read(command.example, {command.name: command}).command is command


def test_every_option_says_what_it_is_for() -> None:
    """In a comment beside its definition."""
    assert config_page.undescribed() == []


def test_every_part_of_the_config_has_a_section() -> None:
    """A new struct of options can't be forgotten."""
    assert {section for _, _, section in config_page.SECTIONS} == set(_structs(types.type_info(Options)))


def test_the_example_of_the_reference_is_a_config(tmp_path: Path) -> None:
    """It can be pasted."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    path = tmp_path / "xmppbus.yaml"
    (example,) = re.findall(r"```yaml\n(.*?)```", (REFERENCE / "config.md").read_text(), re.DOTALL)
    path.write_text(example)
    config = load(path, {})
    assert config.options.nodes[0].readers == ["alice@example.org"]
    assert config.warnings == ()


def _structs(kind: types.Type) -> list[type]:
    if isinstance(kind, types.StructType):
        return [kind.cls, *(found for each in kind.fields for found in _structs(each.type))]
    if isinstance(kind, types.UnionType):
        return [found for each in kind.types for found in _structs(each)]
    if isinstance(kind, types.Metadata):
        return _structs(kind.type)
    return _structs(kind.item_type) if isinstance(kind, types.ListType) else []
