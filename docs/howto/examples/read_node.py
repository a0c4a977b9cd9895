import asyncio, json, os, slixmpp

async def main() -> None:
    client = slixmpp.ClientXMPP(os.environ["XMPP_JID"], os.environ["XMPP_PASSWORD"])
    client.register_plugin("xep_0060")
    client.connect(os.environ.get("XMPP_HOST", ""), int(os.environ.get("XMPP_PORT", 0)))
    await client.wait_until("session_start")
    items = await client.plugin["xep_0060"].get_items(os.environ["SERVICE"], os.environ["NODE"])
    for found in items.xml.iter("{urn:xmpp:json:0}json"):
        print(json.loads(found.text))
    await client.disconnect()

asyncio.run(main())
