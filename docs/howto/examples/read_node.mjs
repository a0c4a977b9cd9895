import { client, xml } from "@xmpp/client";
const { XMPP_SERVER, XMPP_DOMAIN, XMPP_USER, XMPP_PASSWORD, SERVICE, NODE } = process.env;
const xmpp = client({ service: XMPP_SERVER, domain: XMPP_DOMAIN, username: XMPP_USER, password: XMPP_PASSWORD });
await xmpp.start();
const request = xml("pubsub", "http://jabber.org/protocol/pubsub", xml("items", { node: NODE }));
const pubsub = await xmpp.iqCaller.get(request, SERVICE);
for (const item of pubsub.getChild("items").getChildren("item"))
  console.log(JSON.parse(item.getChild("entry").getChildText("json", "urn:xmpp:json:0")));
await xmpp.stop();
