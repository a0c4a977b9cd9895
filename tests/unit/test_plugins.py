"""The registry, and how plugins are found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xmppbus.errors import PluginInvalid
from xmppbus.event import Event
from xmppbus.plugins import Registry, load

PAGE = Path(__file__).parents[2] / "docs/howto/write-a-plugin.md"


def test_installed_plugins_are_found_without_a_word_in_the_config() -> None:
    """By their entry points; naming one as well does no harm."""
    registry = Registry()
    load(registry, ["xmppbus_plugins.throttle"])
    assert {"dedup", "throttle"} <= set(registry.analyzers)


async def test_the_plugin_of_the_guide_works_and_is_under_25_lines(tmp_path: Path) -> None:
    """It is taken from the page as it stands there."""
    found = re.search(r"```python\n# mine\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    code = found.group(1)
    assert len(code.splitlines()) < 25
    (tmp_path / "mine.py").write_text(code)
    registry = Registry()
    load(registry, [str(tmp_path / "mine.py")])
    analyzer = registry.analyzers["shout"]({})
    event = Event({"type": "a", "id": "1", "source": "h", "time": "2026-01-31T12:00:00Z", "summary": "hello"})
    assert [each.summary for each in await analyzer.analyze(event)] == ["HELLO"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def register(registry): registry.analyzer('dedup', print)", "two plugins offer the analyzer 'dedup'"),
        ("x = 1", "has no register"),
        ("import nothing_like_this", "nothing_like_this"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_plugin_that_can_not_be_used_is_named_with_the_reason(tmp_path: Path, code: str, says: str) -> None:
    """Its operator reads which one, and what to do."""
    path = tmp_path / "mine.py"
    path.write_text(code)
    with pytest.raises(PluginInvalid, match=re.escape(says)):
        load(Registry(), [str(path)])


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    """File or module."""
    for name in (str(tmp_path / "none.py"), "nothing_like_this"):
        with pytest.raises(PluginInvalid, match=re.escape(name)):
            load(Registry(), [name])
