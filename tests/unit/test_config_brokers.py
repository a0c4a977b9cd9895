"""What the config says of brokers: addresses of exchanges, and secrets that do not belong into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from xmppbus.app import built_in
from xmppbus.config import load, verify
from xmppbus.errors import ConfigInvalid

ROUTE = "routes: [{{name: out, to: ['{}']}}]\n"


def said(tmp_path: Path, text: str) -> str:
    """What is wrong with it."""
    path = tmp_path / "xmppbus.yaml"
    path.write_text(text)
    with pytest.raises(ConfigInvalid) as caught:
        verify(load(path, {}), built_in())
    return str(caught.value)


def test_an_exchange_is_named_with_a_slash_or_it_would_look_like_a_type(tmp_path: Path) -> None:
    """Each of the three forms is taken."""
    told = said(tmp_path, ROUTE.format("amqp:events"))
    assert "`amqp:events` lacks a slash: `amqp:events/` has the event's type as routing key" in told
    path = tmp_path / "xmppbus.yaml"
    for address in ("amqp", "amqp:events/", "amqp:events/disk.full", "amqp:/a-queue"):
        path.write_text(ROUTE.format(address))
        verify(load(path, {}), built_in())


def test_names_are_as_long_as_the_protocol_has_room_for(tmp_path: Path) -> None:
    """255 bytes, which are fewer characters in most alphabets."""
    assert "at most 255 bytes" in said(tmp_path, ROUTE.format("amqp:x/" + "ü" * 128))
    long = "inputs: {amqp: {queues: ['" + "q" * 256 + "']}}\n"
    assert "longer than 255 characters" in said(tmp_path, long)


@pytest.mark.parametrize(
    "section", ["amqp: {broker: {password: x}, queues: [q]}", "redis: {password: x, streams: [s]}"]
)
def test_a_password_in_the_config_is_told_where_it_belongs(tmp_path: Path, section: str) -> None:
    """Into a file of its own."""
    assert "`password_file: /etc/xmppbus/password`" in said(tmp_path, f"inputs: {{{section}}}\n")


@pytest.mark.parametrize(
    "section",
    [
        "amqp: {queues: [q], prefetch: 1001}",
        "amqp: {queues: [q], broker: {heartbeat_seconds: 0}}",
        "redis: {streams: [s], batch: 1001}",
        "redis: {streams: [s], claim_seconds: 0}",
    ],
)
def test_bounds_of_options_are_those_of_the_limits(tmp_path: Path, section: str) -> None:
    """Beyond them it is an error, and not cut."""
    assert "should be a whole number" in said(tmp_path, f"inputs: {{{section}}}\n")


@pytest.mark.parametrize("section", ["amqp: {queues: [%s]}", "redis: {streams: [%s]}", "redis: {channels: [%s]}"])
def test_one_input_reads_a_bounded_number_of_queues_and_streams(tmp_path: Path, section: str) -> None:
    """Each has its share of memory."""
    names = ", ".join(f"n{number}" for number in range(65))
    assert "has 65 entries of at most 64" in said(tmp_path, f"inputs: {{{section % names}}}\n")
