"""What the benchmarks count with counts right."""

from tests.benchmarks.echo_bot import askers
from tests.benchmarks.figures import Report, percentile, play, rounded
from tests.benchmarks.http_load import complete
from tests.benchmarks.unix_client import Frames, publish_frame


def test_frames_are_the_same_however_the_bytes_are_cut() -> None:
    data = publish_frame(b"one") + publish_frame(b"") + publish_frame(b"three" * 100)
    for size in (1, 3, 8, 1000):
        frames = Frames()
        found = [frame for at in range(0, len(data), size) for frame in frames.feed(data[at : at + size])]
        assert found == [(b"P", b"one"), (b"P", b""), (b"P", b"three" * 100)]


def test_a_ratio_is_the_median_of_the_rounds_and_not_of_the_sums() -> None:
    report = Report()
    report.ratio("a_vs_b", [(1.0, 2.0), (30.0, 10.0), (4.0, 4.0)])
    assert report.ratios == {"a_vs_b": 1.0}


def test_each_round_begins_with_another_player() -> None:
    played: list[str] = []

    def player(name: str) -> float:
        played.append(name)
        return 1.0

    play(2, {"a": lambda: player("a"), "b": lambda: player("b"), "c": lambda: player("c")})
    assert played == ["a", "b", "c", "b", "c", "a"]


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([3.0, 1.0, 2.0], percent) for percent in (1, 50, 99)] == [1.0, 2.0, 3.0]


def test_figures_have_four_significant_digits() -> None:
    assert [rounded(value) for value in (123456.7, 1.23456, 0.000123456, 0.0)] == [123500, 1.235, 0.0001235, 0.0]


def test_an_answer_is_complete_with_its_last_byte() -> None:
    answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nServer: x\r\n\r\nok"
    assert not complete(bytearray(answer[:-1]))
    assert complete(bytearray(answer))


def test_who_asks_is_found_once_however_the_bytes_are_cut() -> None:
    data = b"".join(
        b"<message id='q' to='bot@a' from='p%dx%d@b/phone' type='chat'><body>from='p9x9@' 5</body></message>" % each
        for each in ((1, 100), (2, 0), (30, 7))
    )
    for size in (1, 7, 50, 1000):
        found, rest = [], b""
        for at in range(0, len(data), size):
            names, rest = askers(rest + data[at : at + size])
            found += names
        assert found == [b"p1x100", b"p2x0", b"p30x7"]
