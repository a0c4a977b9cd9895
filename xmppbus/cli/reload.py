"""`xmppbus reload`: the daemon takes a new config while it works."""

from __future__ import annotations

import click

from xmppbus.cli.desk import Action, Desk, encode
from xmppbus.cli.showing import json_line
from xmppbus.errors import ConfigInvalid, Exit


@click.command()
@click.option("--json", is_flag=True, help="What came of it, as one JSON object.")
def reload(json: bool) -> Action:
    """Have the daemon read its config again, and go by it without dropping anything.

    What can't be used is said as `file:line:column: sentence`, and the old config holds (exit 78). What only a restart
    can change is said by name, and everything else is taken. SIGHUP does the same, and the log has the answer.

    \b
    Example:
      xmppbus reload
      xmppbus reload --json | jq .restart
    """

    async def action(desk: Desk) -> int:
        desk.need_admin("reload the config")
        reload_house = desk.house.reload
        assert reload_house is not None  # noqa: S101  # for the type checker: an open house has it
        try:
            found = await reload_house()
        except ConfigInvalid as error:
            lines = str(error).splitlines()
            if json:
                await desk.terminal.write(json_line({"exit": int(Exit.CONFIG), "errors": lines}))
            for line in lines:
                await desk.terminal.complain(encode(line + "\n"))
            await desk.err("the old config holds")
            return Exit.CONFIG
        if json:
            await desk.terminal.write(json_line({"exit": 0, **found._asdict()}))
            return Exit.OK
        for warning in found.warnings:
            await desk.terminal.complain(encode(warning + "\n"))
        await desk.out(f"the config holds; new: {', '.join(found.taken) or 'nothing'}")
        if found.restart:
            await desk.out(f"needs a restart: {', '.join(found.restart)}")
        return Exit.OK

    return action
