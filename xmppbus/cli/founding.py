"""What `xmppbus init` does, and says: once everything is known, or when there is a config already."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xmppbus.cli.advice import RELOAD, SECRET, Facts
from xmppbus.cli.check import as_json, verdict_lines
from xmppbus.cli.checking import Level, Report, examine
from xmppbus.cli.desk import Desk
from xmppbus.cli.init import command_to
from xmppbus.cli.interview import Answers, Given
from xmppbus.cli.server_lines import Paste, lacking
from xmppbus.cli.showing import json_line
from xmppbus.config import Config, load, secret_of
from xmppbus.errors import BusError, Code, ConfigInvalid, Exit, Refused
from xmppbus.options import XmppOptions
from xmppbus.setup.found import PROSODY, LocalServer
from xmppbus.setup.server_file import NAME, ServerFileRefused, write_server_file
from xmppbus.setup.writing import CONFIG_NAME, config_text, new_secret, write_once


class Founding:
    """One run of `init`."""

    def __init__(self, desk: Desk, given: Given, directory: Path, *, dry_run: bool, json: bool) -> None:
        self._desk, self._given, self._dry_run, self._json = desk, given, dry_run, json
        self.config = directory.absolute() / CONFIG_NAME
        self._result: dict[str, Any] = {"config": str(self.config), "written": [], "server": None, "lines": []}

    async def tell_found(self, found: Sequence[LocalServer]) -> None:
        """What is on this machine."""
        for server in found:
            where = f"{server.kind}: {server.config or ''}".rstrip(": ")
            await self._say(f"Found {where}")
            about = [("hosts", server.hosts), ("pubsub", server.services), ("components", tuple(server.components))]
            for name, values in about:
                if values:
                    await self._say(f"    {name:<11}{', '.join(values)}")
            if server.problem:
                await self._say(f"    {server.problem}")

    # --- the first time -----------------------------------------------------------------------------------------------

    async def found(self, answers: Answers, *, writes_server: bool) -> int:
        """Write, say what the server needs, check."""
        text = config_text(answers.wishes)
        _try_out(text)
        if self._dry_run:
            await self._would_write(text)
            secret = SECRET
        else:
            secret = await self._write(answers, text)
        facts = Facts(answers.wishes.component, answers.wishes.service, answers.wishes.port, True, secret=secret)
        return await self._and_then(answers.kind, answers.server, facts, writes_server=writes_server)

    async def _write(self, answers: Answers, text: str) -> str:
        """Both files; returns the secret."""
        path = self.config.parent / answers.wishes.secret_file
        try:
            if answers.wishes.secret_file == "secret" and not path.exists():  # noqa: S105  # a file's name
                write_once(path, f"{answers.secret or new_secret()}\n")
                await self._wrote(path, "the secret between the server and the bus")
            secret = path.read_text().partition("\n")[0].strip()
            write_once(self.config, text)
        except OSError as error:
            await self._desk.err(f"{error.filename or self.config} can't be written or read: {error.strerror}; "
                                 "run it as root, or say where with --directory")  # fmt: skip
            raise CannotCreate from error
        await self._wrote(self.config, "the config")
        return secret

    async def _wrote(self, path: Path, what: str) -> None:
        self._result["written"].append(str(path))
        await self._say(f"Wrote {path}: {what}")

    async def _would_write(self, text: str) -> None:
        self._result["would_write"] = text
        await self._say(f"\n{self._strong('Would write')} {self.config}, and a secret beside it:\n")
        await self._say("\n".join(f"    {line}".rstrip() for line in text.splitlines()))

    # --- the second time ----------------------------------------------------------------------------------------------

    async def again(self, servers: Sequence[LocalServer], *, writes_server: bool) -> int:
        """There is a config: nothing is changed. Raises ConfigInvalid when it can't be used."""
        config = load(self.config, os.environ)
        if differing := list(_differing(config, self._given)):
            self._result["differs"] = differing
            for each in differing:
                await self._desk.err(f"{self.config} is there and is not written over: {each}")
            await self._desk.err(f"change that in {self.config}, or move it away and run `xmppbus init` again")
            await self._print_json(Exit.CANT_CREATE)
            return Exit.CANT_CREATE
        await self._say(f"{self.config} is there already: it is left as it is.")
        xmpp = config.options.xmpp
        if xmpp is None or xmpp.component is None:
            return await self._check_and_end(None, [], None)
        facts = Facts(xmpp.jid, xmpp.service, xmpp.server_port, True, secret=secret_of(config))
        server = _whose(servers, xmpp)
        kind = server.kind if server else self._given.server or PROSODY
        return await self._and_then(kind, server, facts, writes_server=writes_server)

    # --- both ---------------------------------------------------------------------------------------------------------

    async def _and_then(self, kind: str, server: LocalServer | None, facts: Facts, *, writes_server: bool) -> int:
        self._result["server"] = {"kind": kind, "config": str(server.config) if server and server.config else None}
        pastes = lacking(kind, server, facts)
        if writes_server:
            pastes = await self._write_server(kind, server, pastes)
        self._result["lines"] = [paste._asdict() for paste in pastes]
        for number, paste in enumerate(pastes):
            also = "Put" if number == 0 else "and"
            await self._say(f"\n{self._strong(f'{also} into {paste.where}')}:\n\n{paste.lines}")
        if pastes:
            self._result["reload"] = RELOAD[kind]
            await self._say(f"\n{self._strong('Then')}: {RELOAD[kind]}")
            if kind == PROSODY and server and server.drop_in and not writes_server:
                await self._say("(`init` with --write-server-config puts the lines there for you.)")
        elif server and not self._result.get("server_file"):
            await self._say(f"{kind} has the lines for {facts.jid} already.")
        return await self._check_and_end(kind, pastes, facts)

    async def _write_server(self, kind: str, server: LocalServer | None, pastes: list[Paste]) -> list[Paste]:
        """Put the lines where Prosody reads them; what is then left to paste: nothing. Raises Refused."""
        if kind != PROSODY or server is None or server.config is None or server.drop_in is None:
            reason = (
                "only Prosody reads files beside its config" if kind != PROSODY else "it includes no conf.d/*.cfg.lua"
            )
            raise Refused(Code.USAGE, f"--write-server-config can't: {reason}; without it the lines are printed")
        path = server.drop_in / NAME
        if not pastes or self._dry_run:
            return pastes
        try:
            backup = write_server_file(server.drop_in, "\n\n".join(paste.lines for paste in pastes), server.config)
        except ServerFileRefused as error:
            await self._desk.err(str(error))
            return pastes
        self._result["server_file"], self._result["reload"] = str(path), RELOAD[kind]
        await self._wrote(path, "the lines for Prosody, which `prosodyctl check config` likes")
        if backup:
            await self._say(f"    what was there before is {backup}")
        await self._say(f"\n{self._strong('Now')}: {RELOAD[kind]}")
        return []

    async def _check_and_end(self, kind: str | None, pastes: Sequence[Paste], facts: Facts | None) -> int:
        if self._dry_run:
            return await self._print_json(Exit.OK)
        report = examine(self.config, os.environ)
        self._result["check"] = as_json(report)
        if report.errors:
            for line in report.errors:
                await self._desk.err(line)
            return await self._print_json(Exit.CONFIG)
        unlike = ", which the server will not pass before it has the lines" if pastes and report.exit_code else ""
        await self._say(f"\n{self._strong('Check')}{unlike}")
        waits = bool(pastes) or "server_file" in self._result
        for line in verdict_lines(self._desk, _for_us(report, kind, waits)):
            await self._say(line)
        await self._next_steps(report, waits=waits, facts=facts)
        return await self._print_json(Exit.OK)

    async def _next_steps(self, report: Report, *, waits: bool, facts: Facts | None) -> None:
        steps = list(self._steps(report, waits=waits, facts=facts))
        self._result["next"] = steps
        await self._say(f"\n{self._strong('Next')}")
        for step in steps:
            await self._say(f"  * {step}")

    def _steps(self, report: Report, *, waits: bool, facts: Facts | None) -> Iterator[str]:
        assert report.config  # noqa: S101  # for the type checker: without a config there are errors
        options = report.config.options
        if report.exit_code:
            when = "when the server has the lines and has taken them up" if waits else "when that is mended"
            yield f"{when}, run `{command_to('check', self.config, os.environ)}` again"
        if report.daemon is None:
            yield f"start it: {command_to('serve', self.config, os.environ)} &"
            for_whom = "" if os.geteuid() == 0 else " --user"
            yield f"or for good, under systemd: {command_to(f'install-service{for_whom}', self.config, os.environ)}"
        yield 'publish something: xmppbus publish user.signup "alice joined"'
        if options.bot and facts:
            yield f"add {options.bot.name}@{facts.jid} in your chat client, and write `help` to it"
        if options.http:
            yield f"look at http://{options.http.listen}/"

    async def _say(self, text: str) -> None:
        if not self._json:
            await self._desk.out(text)

    def _strong(self, text: str) -> str:
        return self._desk.style(text, "bold")

    async def _print_json(self, code: int) -> int:
        if self._json:
            await self._desk.terminal.write(json_line({"exit": code, **self._result}))
        return code


def _try_out(text: str) -> None:
    """What would not be a config is not written. Raises Refused."""
    with tempfile.TemporaryDirectory(prefix="xmppbus-init-") as directory:
        (trial := Path(directory, CONFIG_NAME)).write_text(text)
        Path(directory, "secret").touch(mode=0o600)
        Path(directory, "secret").write_text("tried out")
        try:
            load(trial, {})
        except ConfigInvalid as error:
            sentences = [line.removeprefix(f"{trial}:").split(": ", 1)[-1] for line in str(error).splitlines()]
            raise Refused(Code.USAGE, f"that would be no config: {'; '.join(sentences)}") from error


class CannotCreate(BusError):
    """Our files can't be written, which has been said already."""


def _differing(config: Config, given: Given) -> Iterator[str]:
    """What the command line wants and the config says otherwise."""
    options, xmpp = config.options, config.options.xmpp
    wanted = [
        ("component", xmpp and xmpp.component, given.component or (given.domain and f"bus.{given.domain}")),
        ("pubsub_service", xmpp and xmpp.service, given.service),
        ("host", xmpp and xmpp.host, given.host),
        ("port", xmpp and xmpp.server_port, given.port),
        ("secret_file", xmpp and xmpp.secret_file, given.secret_file and str(given.secret_file.absolute())),
        ("http", options.http and options.http.listen, given.http),
    ]
    yield from (f"its {name} is {has}, not {want}" for name, has, want in wanted if want and has != want)
    if given.no_http and options.http:
        yield f"its http is {options.http.listen}, not null"
    affiliations = options.bot.affiliations if options.bot else {}
    yield from (f"{owner} is no owner in it" for owner in given.owners if affiliations.get(owner) != "owner")


def _whose(servers: Sequence[LocalServer], xmpp: XmppOptions) -> LocalServer | None:
    """The server that this config is about: the one that has the component, or its domain."""
    usable = [each for each in servers if each.config]
    known = [each for each in usable if xmpp.component in each.components]
    hosting = [each for each in usable if any(xmpp.jid.endswith(f".{host}") for host in each.hosts)]
    return next(iter([*known, *hosting, *usable]), None)


def _for_us(report: Report, kind: str | None, pasted: bool) -> Report:
    """The findings with the lines for this server alone; without, where they have just been shown."""
    verdicts = []
    for verdict in report.verdicts:
        shown = {place: lines for place, lines in verdict.paste.items() if kind and place.startswith(f"{kind}:")}
        hides = pasted and verdict.level is Level.BAD
        verdicts.append(verdict._replace(paste={} if hides else shown))
    return Report(report.config, report.errors, report.daemon, tuple(verdicts))
