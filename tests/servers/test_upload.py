"""Pictures of the bot's (XEP-0363), with the lines of the how-tos: who may upload, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.outputs import options
from tests.support.living_house import living
from tests.support.omemo_person import omemo_person
from tests.support.server import Server, ServerFactory
from tests.support.uploading import fetched, uploading
from xmppbus.errors import Code, Refused
from xmppbus.house import House
from xmppbus.xmpp.diagnose import diagnose
from xmppbus.xmpp.upload import File, Service, Uploads

PICTURE = File("a&'b.png", b"\x89PNG and so on", "image/png")


def uploads_of(house: House, server: Server) -> Uploads:
    """Those of a house, which trust the server's certificate."""
    assert house.xmpp is not None
    given = options(server, component=house.xmpp.options.component, ca_file=str(server.certificate))
    return Uploads(house.xmpp, given)


async def refusal(uploads: Uploads, sender: str) -> str:
    """Why a picture is not taken."""
    with pytest.raises(Refused) as refused:
        await uploads.put(PICTURE, sender)
    assert refused.value.code is Code.NO_PICTURE
    return refused.value.message


async def test_the_lines_of_the_page_let_the_bot_upload_and_nobody_else(
    server_name: str, own_server: ServerFactory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was put is fetched by its address; `check` says who may. Another component is refused, as the bus would be
    without the lines; so is what is too large, and a server whose certificate nobody vouches for."""
    server = await uploading(own_server, server_name, tmp_path)
    async with living(server, tmp_path / "bus", {}) as house:
        assert house.talk is not None
        uploads, sender = uploads_of(house, server), house.talk.full()
        url = await uploads.put(PICTURE, sender)
        assert await fetched(url, server) == ("image/png", PICTURE.content)
        assert house.uploads is not None
        assert "no certificate to trust" in await refusal(house.uploads, sender)
        assert "docs/howto/prosody.md and ejabberd.md, under Pictures" in caplog.text
        uploads._service = Service("upload.localhost", 5)
        assert "upload.localhost takes at most 5 bytes, it has 14" in await refusal(uploads, sender)
        assert (await uploads.put(PICTURE, sender)).startswith("https://localhost:")
    async with living(server, tmp_path / "other", {}, component=server.component_jids[1]) as house:
        assert "forbidden" in await refusal(uploads_of(house, server), f"bot@{server.component_jids[1]}/xmppbus")
    # Looking takes Prosody's storage three seconds, so it is looked at once.
    for component, level, missing in [(0, "good", None), (1, "doubt", "upload")][
        : 1 if server_name == "prosody" else 2
    ]:
        jid = server.component_jids[component]
        found = await diagnose(options(server, component=jid), server.secret, [], bot=f"bot@{jid}")
        (about,) = [each for each in found if each.about == "pictures"]
        assert (about.level, about.missing) == (level, missing), about


async def test_an_account_uploads_as_itself(server_name: str, own_server: ServerFactory, tmp_path: Path) -> None:
    """Every user may, with the lines of the page."""
    server = await uploading(own_server, server_name, tmp_path)
    await server.create_account("bot@localhost", "pw")
    async with living(server, tmp_path / "bus", {}, account="bot@localhost") as house:
        assert house.uploads is not None
        assert await fetched(await house.uploads.put(PICTURE, ""), server) == ("image/png", PICTURE.content)


@pytest.mark.filterwarnings("ignore:Accessing plugins through the XMPP object:DeprecationWarning")
async def test_what_is_encrypted_has_no_picture(server: Server, tmp_path: Path) -> None:
    """Not even uploaded: the words say so, encrypted. So it is for whom encryption is required, and for whom it is
    possible and who has a client for it."""
    for wanted in ("required", "possible"):
        jid = f"{wanted}.{tmp_path.name[-6:].strip('_')}{server.name}@{server.domain}"
        await server.create_account(jid, "pw")
        bot = {"affiliations": {jid: "member"}, "omemo": {jid: wanted}}
        async with living(server, tmp_path / wanted, bot) as house, omemo_person(server, jid) as romeo:
            await house.bus.accept([{"type": "build.finished", "data": {"seconds": 5}}])
            assert house.talk is not None
            await romeo.says(house.talk.jid, "plot build.# data.seconds")
            await romeo.reads("build.# data.seconds, the last 24h\n▄ min 5 s · mean 5 s · max 5 s · last 5 s")
            await romeo.reads("There is no picture: what I write to you is encrypted, and a picture would not be.")
            assert house.drawing._process is None
