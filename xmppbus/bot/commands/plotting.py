"""`plot`: a number in events over time, in a line of text and as a picture."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from functools import partial

from xmppbus import limits
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Place, Values
from xmppbus.bot.desk import Desk
from xmppbus.errors import Code, Refused
from xmppbus.house import series_of
from xmppbus.people.catalogue import _, mark
from xmppbus.plots.asking import SCALE, SINCE, Question, left_out, span, spark_lines
from xmppbus.plots.chart import chart
from xmppbus.plots.drawing import can_draw
from xmppbus.plots.series import BY, Series
from xmppbus.plugins import Registry
from xmppbus.xmpp.upload import File

log = logging.getLogger("xmppbus.bot")

_WIDTH, _HEIGHT, _BLOCKS = 640, 400, 16
"""Smaller than elsewhere, so that what is written in it can be read on a phone; and the blocks of a line."""

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


async def plot(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Words at once, and then a picture, where the server takes one and nobody is to be written to encrypted."""
    since = _written(values["since"]) if values["since"] else SINCE
    pattern, field, by = values["pattern"], values["field"], values["by"] or ""
    question = Question(pattern, field, since, by=by, width=_WIDTH, height=_HEIGHT)
    try:
        series = await series_of(desk.house, question, desk.zone)
    except Refused as refusal:
        if refusal.code is not Code.NOT_FOUND:
            raise
        text = _("I found no number `{field}` in `{pattern}`, {span}. `list` shows the types of what has happened.")
        said = text.format(field=question.field, pattern=question.pattern, span=span(since))
        return Answer(said, failed=True)
    lines = [", ".join([f"{question.pattern} {question.field}, {span(since)}", *left_out(series)])]
    lines += spark_lines(series, question.counted_in, _BLOCKS)
    return Answer("\n".join(lines), picture=partial(_picture, desk, asker, question, series))


async def _picture(desk: Desk, asker: Asker, question: Question, series: Series) -> str:
    """Its address. Raises `Refused`."""
    house, talk = desk.house, desk.house.talk
    if talk is None or house.uploads is None:
        raise Refused(Code.NOT_CONFIGURED, _("this bus has no server"))
    if not can_draw():
        log.warning("a picture was not drawn: the extra is not installed; `pip install 'xmppbus[plots]'`")
        raise Refused(Code.NOT_CONFIGURED, _("this bus draws none"))
    is_alone = asker.place in (Place.CHAT, Place.FORM)
    if is_alone and talk.encryption is not None and await talk.encryption.encrypts(asker.jid):
        raise Refused(Code.NOT_CONFIGURED, _("what I write to you is encrypted, and a picture would not be"))
    drawn = await house.drawing.picture(chart(question.look(series), series), "png", SCALE)
    name = _UNSAFE.sub("_", f"{question.pattern}-{question.field}")[: limits.PLOT_TITLE_CHARACTERS]
    return await house.uploads.put(File(f"{name}.png", drawn, "image/png"), talk.full())


def _written(length: timedelta) -> str:
    """`24h`, `7d`: in the largest unit that it is a whole number of, days from two on."""
    seconds = round(length.total_seconds())
    for size, unit in _UNITS:
        if seconds % size == 0 and (unit != "d" or seconds >= 2 * size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def register(registry: Registry) -> None:
    """Offer it."""
    registry.command(
        "plot",
        mark("A number in events over time, as a picture"),
        plot,
        arguments=(
            Argument("pattern", Kind.PATTERN, mark("types of events")),
            Argument("field", Kind.WORD, mark("where the number is in an event, such as `data.ms`")),
            Argument("since", Kind.DURATION, mark("from how long ago on; else a day"), required=False),
            Argument("by", Kind.WORD, mark("a curve for each"), required=False, choices=BY),
        ),
        example="plot http.latency data.ms 7d",
        aliases=("chart", "graph"),
    )
