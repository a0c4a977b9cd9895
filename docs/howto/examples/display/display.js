import { Strophe, $iq, $pres } from "./strophe.esm.js";

const { websocket, domain, service, nodes } = document.body.dataset;
const PUBSUB = "http://jabber.org/protocol/pubsub";
const MARKS = { debug: "·", info: "•", notice: "◆", warning: "▲", error: "✖", critical: "‼" };
const MOST = 50; // events on the page; no more than the nodes keep (max_items), or a gap after an outage stays
const shown = new Map(); // item id -> its element, so that nothing is shown twice
const list = document.getElementById("events");
const state = document.getElementById("state");
let attempts = 0;
let away = null;

/** One item of a node: the event is the JSON in it (XEP-0335). Its texts are only ever text. */
function show(item) {
  const id = item.getAttribute("id");
  const json = item.getElementsByTagNameNS("urn:xmpp:json:0", "json")[0];
  if (!json || shown.has(id)) return;
  const event = JSON.parse(json.textContent);
  const severity = event.severity in MARKS ? event.severity : "info";
  const text = typeof event.data === "string" ? event.data : event.data?.text;
  const row = document.createElement("li");
  row.className = severity;
  row.dataset.moment = Date.parse(event.time);
  const when = put(row, "time", new Date(event.time).toLocaleTimeString([], { hour12: false }));
  when.dateTime = event.time;
  row.prepend(part("span", "mark", MARKS[severity]), part("span", "summary", event.summary ?? text ?? event.type));
  put(row, "span", [event.type, event.subject, event.status].filter(Boolean).join(" · ")).className = "about";
  list.insertBefore(row, [...list.children].find((each) => Number(each.dataset.moment) <= row.dataset.moment) ?? null);
  shown.set(id, row);
  while (list.children.length > MOST) list.lastElementChild.remove();
  for (const [known, element] of shown) {
    if (shown.size <= 20 * MOST) break;
    if (!element.isConnected) shown.delete(known);
  }
}

function part(name, kind, text) {
  const element = document.createElement(name);
  element.className = kind;
  element.textContent = [...text].slice(0, 500).join("");
  return element;
}

function put(row, name, text) {
  return row.appendChild(part(name, "", text));
}

/** Subscribe first and fetch then, so that nothing falls between the two; what comes twice is known by its id. */
function follow(connection, node) {
  if (!connection.connected) return; // cut off meanwhile: whoever connects again follows all of them
  const again = () => connection.connected && setTimeout(() => follow(connection, node), 5000); // no such node yet
  const subscribe = $iq({ type: "set", to: service }).c("pubsub", { xmlns: PUBSUB }).c("subscribe", { node, jid: connection.jid });
  const fetch = $iq({ type: "get", to: service }).c("pubsub", { xmlns: PUBSUB }).c("items", { node, max_items: MOST });
  const catchUp = () => connection.connected && connection.sendIQ(fetch, (answer) => showAll(answer), again);
  connection.sendIQ(subscribe, catchUp, again);
}

function showAll(stanza) {
  [...stanza.getElementsByTagName("item")].forEach(show);
  return true; // a handler that returns true stays
}

/** A connection that died without a word is noticed, too. */
function watch(connection) {
  if (!connection.connected) return;
  const ping = $iq({ type: "get", to: domain }).c("ping", { xmlns: "urn:xmpp:ping" });
  const answered = () => setTimeout(() => connection.connected && watch(connection), 20000);
  const silent = () => connection.connected && connection.disconnect("no answer");
  connection.sendIQ(ping, answered, (error) => (error ? answered() : setTimeout(silent)), 10000);
}

function connect() {
  const connection = new Strophe.Connection(new URL(websocket, location.href).href.replace(/^http/, "ws"));
  connection.connect(domain, null, (status) => {
    if (status === Strophe.Status.CONNECTED) {
      attempts = 0;
      away = null;
      say("live");
      connection.addHandler(showAll, null, "message", null, null, service);
      connection.send($pres());
      nodes.split(/\s+/).forEach((node) => follow(connection, node));
      watch(connection);
    } else if (status === Strophe.Status.DISCONNECTED) {
      away ??= new Date();
      say(`away since ${away.toLocaleTimeString([], { hour12: false })}; trying again`);
      setTimeout(connect, Math.min(30000, 500 * 2 ** attempts++) * (0.5 + Math.random() / 2));
    }
  });
  window.onpagehide = () => leave(connection);
}

/** The service would go on sending to an address that nobody has any more. */
function leave(connection) {
  if (!connection.connected) return;
  for (const node of nodes.split(/\s+/))
    connection.send($iq({ type: "set", to: service }).c("pubsub", { xmlns: PUBSUB }).c("unsubscribe", { node, jid: connection.jid }));
  connection.flush();
  connection.disconnect("leaving");
}

function say(text) {
  state.textContent = text;
  state.className = away ? "away" : "";
}

connect();
