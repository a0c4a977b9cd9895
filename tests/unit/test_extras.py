"""What `check` says of a config that needs an extra which is not installed."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.pages import ROOT
from xmppbus.cli import extras
from xmppbus.config import load

CONFIG = """\
inputs:
  amqp: {queues: [jobs]}
  amqp/second: {queues: [jobs]}
  dbus: {systemd: failed-units}
  follow:
    files:
      - {file: /var/log/a.log, type: a.line, pattern: "(?P<word>.)"}
  redis: {streams: [jobs]}
  smtp: {}
  webhooks:
    custom:
      - {name: deploys, type: deploy.done}
outputs:
  dbus: {bus: session}
"""
PLAIN = """\
inputs:
  follow:
    files:
      - {file: /var/log/a.log, type: a.line}
  stomp: {}
"""


def _lacking(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "xmppbus.yaml"
    file.write_text(text)
    return list(extras.lacking(load(file, {})))


def test_each_part_that_needs_an_extra_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the pip beside the Python that runs it, at the place in the file."""
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "executable", "/opt/xmppbus/bin/python3")
    said = _lacking(tmp_path, CONFIG)
    kinds = [line.rpartition("xmppbus[")[2].removesuffix("]'") for line in said]
    assert kinds == ["amqp", "amqp", "dbus", "follow", "redis", "smtp", "webhooks", "dbus"]
    assert said[1].startswith(f"{tmp_path / 'xmppbus.yaml'}:3:")
    assert "`amqp/second` needs the extra `amqp`" in said[1]
    assert all(": /opt/xmppbus/bin/pip install 'xmppbus[" in line for line in said)
    assert _lacking(tmp_path, PLAIN) == []


def test_with_the_extras_nothing_is_lacking(tmp_path: Path) -> None:
    """As here; and each is one of those that the package has."""
    assert _lacking(tmp_path, CONFIG) == []
    assert set(extras.MODULES) <= set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
