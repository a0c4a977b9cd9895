"""Fifty people who ask the bot at once: how many answers a second they get, and how long they wait.

* `commands_vs_echo`: the smaller of the two ratios below, answers a second against those of a bot that knows one answer
  only: a blocking socket in a process of its own, in the name of the same component, which writes the very bytes that
  the product has answered to whoever writes to it.
* `whoami_vs_echo`: a question that is answered from memory. `last_vs_echo`: `last 5`, five events from the journal.

Each of the fifty asks again as soon as there is an answer, so fifty questions are always under way. The people are JIDs
of a second component; as the bot stops saying the same to somebody who asks and asks, each goes on under another name
after eight questions. Figures: p50, p90, p99 and the longest wait in milliseconds, of both; the bytes of an answer; and
the largest resident set of the daemon.
"""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from tests.benchmarks import unix_client
from tests.benchmarks.echo_bot import SAMPLE, EchoBot
from tests.benchmarks.events import event_bytes
from tests.benchmarks.figures import Report, Settings, play, say, spread
from tests.benchmarks.product import Product, state_directory
from tests.benchmarks.servers import NODE, stream_to, xmpp_server
from tests.support.raw_limit import TIMEOUT, RawPublisher
from tests.support.server import Server

ROUNDS = 5
QUICK_ROUNDS = 3
PEOPLE = 50
QUESTIONS_OF_ONE = 8
QUESTIONS_A_TURN = 20_000
QUICK_QUESTIONS_A_TURN = 3_000
READY_SECONDS = 20.0
AGAIN_SECONDS = 0.5
QUESTIONS = {"whoami": "whoami", "last": "last 5"}
MIB = 1024 * 1024

_ANSWER = re.compile(rb"<message [^>]*?to=['\"]p([0-9]+)x([0-9]+)@[^>]*>")
_WHOLE = re.compile(rb"<message .*?</message>", re.DOTALL)
_ERROR = re.compile(rb"<message [^>]*type=['\"]error['\"]")


class Askers:
    """The people; one stream for all of them."""

    def __init__(self, stream: RawPublisher, bot: str) -> None:
        self.stream = stream
        self.bot = bot
        self._turns = 0

    def first_answer(self, words: str) -> bytes:
        """What is answered to the person of the sample, as soon as there is somebody who answers."""
        deadline = time.monotonic() + READY_SECONDS
        data = b""
        self.stream.socket.settimeout(AGAIN_SECONDS)
        while time.monotonic() < deadline:
            self.stream.socket.sendall(self._question(SAMPLE.decode(), words))
            # What a server takes for a component that is just going may be lost without a word.
            with contextlib.suppress(TimeoutError):
                data += self.stream.read()
            for answer in _WHOLE.findall(data):
                if not _ERROR.match(answer):
                    self.stream.socket.settimeout(TIMEOUT)
                    return bytes(answer)
            time.sleep(0.05)  # nothing says when the bot has come: it is asked until it answers
        raise TimeoutError(f"{self.bot} does not answer")

    def ask(self, words: str, count: int) -> tuple[float, list[float]]:
        """So many questions; how many answers came a second, and how long each was waited for."""
        self._turns += 1
        asked = [0.0] * PEOPLE
        questions = [0] * PEOPLE
        waits: list[float] = []

        def question(person: int) -> bytes:
            name = f"p{person}x{self._turns}{questions[person] // QUESTIONS_OF_ONE:05}"
            questions[person] += 1
            asked[person] = time.monotonic()
            return self._question(name, words)

        begun = time.monotonic()
        self.stream.socket.sendall(b"".join(map(question, range(PEOPLE))))
        sent, rest = PEOPLE, b""
        while len(waits) < count:
            rest += self.stream.read()
            now, end, again = time.monotonic(), 0, []
            for answer in _ANSWER.finditer(rest):
                person, end = int(answer[1]), answer.end()
                if answer[2] == b"0":
                    continue  # to the first question, which was asked again until somebody answered
                if _ERROR.match(answer.group()):
                    raise ConnectionError(answer.group().decode())
                waits.append(now - asked[person])
                if sent < count:
                    again.append(question(person))
                    sent += 1
            rest = rest[end:]
            if again:
                self.stream.socket.sendall(b"".join(again))
        return count / (time.monotonic() - begun), waits

    def _question(self, name: str, words: str) -> bytes:
        sender = f"{name}@{self.stream.jid}/phone"
        return f"<message type='chat' id='q' from='{sender}' to='{self.bot}'><body>{words}</body></message>".encode()


class Turns:
    """The product and the echo, each in turn the only bot; always the same question."""

    def __init__(self, product: Product, server: Server, askers: Askers, question: str, count: int) -> None:
        self.product = product
        self.server = server
        self.askers = askers
        self.words = QUESTIONS[question]
        self.count = count
        self.waits: dict[str, list[float]] = {"ours": [], "echo": []}
        self.resident = 0
        self.answer = self._sample()

    def _sample(self) -> bytes:
        """An answer as it came, to be sent by the echo: the server has put nothing in but what was there."""
        with self.product.daemon(stream_to(self.server)):
            return self.askers.first_answer(self.words)

    def ours(self) -> float:
        """Answers a second."""
        with self.product.daemon(stream_to(self.server)):
            self.askers.first_answer(self.words)
            rate, waits = self.askers.ask(self.words, self.count)
            self.resident = max(self.resident, self.product.largest_resident_bytes())
        self.waits["ours"] += waits
        return rate

    def echo(self) -> float:
        """The limit."""
        server = self.server
        with EchoBot(server.host, server.component_port, server.component_jid, server.secret, self.answer):
            self.askers.first_answer(self.words)
            rate, waits = self.askers.ask(self.words, self.count)
        self.waits["echo"] += waits
        return rate


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    count = QUICK_QUESTIONS_A_TURN if settings.quick else QUESTIONS_A_TURN
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        server = stack.enter_context(xmpp_server(settings.server, directory / "server"))
        stream = stack.enter_context(
            RawPublisher(server.host, server.component_port, server.component_jids[1], server.secret)
        )
        product = with_events(directory / "bus", server)
        askers = Askers(stream, f"bot@{server.component_jid}")
        for question in QUESTIONS:
            turns = Turns(product, server, askers, question, count)
            scores = play(
                settings.rounds, {"echo": turns.echo, "ours": turns.ours}, settings.measuring_seconds(len(QUESTIONS))
            )
            report.rates(f"{question}_echo_per_second", scores["echo"])
            report.rates(f"{question}_per_second", scores["ours"])
            report.ratio(f"{question}_vs_echo", list(zip(scores["ours"], scores["echo"], strict=True)))
            report.figures[f"{question}_ms"] = spread(turns.waits["ours"])
            report.figures[f"{question}_echo_ms"] = spread(turns.waits["echo"])
            report.figures[f"{question}_answer_bytes"] = len(turns.answer)
            report.figures[f"{question}_resident_mib"] = round(turns.resident / MIB, 1)
            say(f"{question}: {report.ratios[f'{question}_vs_echo']}")
    report.ratios["commands_vs_echo"] = min(report.ratios.values())
    return report


def with_events(directory: Path, server: Server) -> Product:
    """A bus in which something has happened, and whose bot knows the askers."""
    bot = {"affiliations": {server.component_jids[1]: "member"}}
    product = Product(directory, node=NODE, more={"bot": bot})
    with product.daemon(stream_to(server)), product.connect() as connection:
        unix_client.publish(connection, [event_bytes("bench.command", 300) for _ in range(100)], 100).results()
        product.until_waiting(0, 30)
    return product
