"""Frames of the Unix socket."""

import pytest

from xmppbus.inputs import frames
from xmppbus.inputs.frames import Broken, Splitter, pack

MOST = 1000


def split(data: bytes, step: int, most: int = MOST) -> list[tuple[int, bytes]]:
    splitter = Splitter(most)
    return [found for at in range(0, len(data), step) for found in splitter.feed(data[at : at + step])]


def test_a_frame_is_a_kind_a_length_and_a_payload() -> None:
    """As docs/reference/socket.md says."""
    assert pack(frames.PUBLISH, b"{}") == b"P\x00\x00\x00\x02{}"


@pytest.mark.parametrize("step", [1, 2, 5, 7, 64, 10_000])
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(step: int) -> None:
    """The kernel cuts where it likes."""
    sent = [(frames.PUBLISH, b"x" * size) for size in (0, 1, 5, 300, MOST)]
    assert split(b"".join(pack(*frame) for frame in sent), step) == sent


def test_nothing_comes_out_before_a_frame_is_whole() -> None:
    """Not even its beginning."""
    splitter = Splitter(MOST)
    assert splitter.feed(pack(frames.PUBLISH, b"abc")[:-1]) == []
    assert splitter.feed(b"c") == [(frames.PUBLISH, b"abc")]


def test_a_frame_that_announces_too_much_is_broken_before_its_payload_comes() -> None:
    """A length costs its sender four bytes."""
    with pytest.raises(Broken, match="1001 bytes of at most 1000"):
        Splitter(MOST).feed(b"P\x00\x00\x03\xe9")


def test_a_kind_that_nobody_sends_is_broken() -> None:
    """HTTP on the wrong socket, say."""
    with pytest.raises(Broken, match="unknown frame kind"):
        Splitter(MOST, frames.FROM_CLIENTS).feed(b"HEAD / HTTP/1.1\r\n\r\n")


def test_a_megabyte_byte_by_byte_costs_no_more_than_its_length() -> None:
    """What is held is not copied at each byte."""
    splitter = Splitter(2**20)
    whole = pack(frames.PUBLISH, bytes(2**18))
    found = [frame for at in range(len(whole)) for frame in splitter.feed(whole[at : at + 1])]
    assert found == [(frames.PUBLISH, bytes(2**18))]


def test_every_kind_has_a_letter_of_its_own() -> None:
    """In both directions."""
    kinds = [value for name, value in vars(frames).items() if name.isupper() and isinstance(value, int)]
    kinds.remove(frames.HEADER_BYTES)
    assert len(set(kinds)) == len(kinds)
    assert set(frames.FROM_CLIENTS) <= set(kinds)
