/** The page: what goes where, and what a key does. */

import { byId, make } from "./elements.js";
import { Feed, ROWS } from "./feed.js";
import { House } from "./house.js";
import { Incidents, concerns } from "./incidents.js";
import { clock, keepTrue, setClock } from "./moments.js";
import { again, present, signOut } from "./session.js";
import { Shortcuts } from "./shortcuts.js";
import { Stream } from "./stream.js";
import { dialogs, nameOf, showCount, themes } from "./surroundings.js";

const MISSED = 2_000; // events of a break that are read all; of more, only the newest
const LOOK_MILLISECONDS = 4_000; // at incidents, while the stream brings only a part of what happens
const TYPING_MILLISECONDS = 250;
const PATTERN = /^(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*$/;

const feed = new Feed();
const house = new House();
const who = { session: null };
const incidents = new Incidents({
  who: (action) => nameOf(action, who.session),
  counted: showCount,
  chosen: (key) => {
    byId("filter-text").value = key;
    filtered();
  },
});
const stream = new Stream({ most: MISSED, on: { state, hello, event, gap, config, refused } });
let version = "";
let left = null; // when the connection was lost
let asked = "";

async function begin() {
  keepTrue();
  themes();
  dialogs();
  restore();
  listen();
  connection("connecting", "Connecting");
  who.session = await present(() => connection("waiting", "Disconnected"));
  byId("leave").hidden = !who.session.needed;
  open();
  house.look();
  incidents.look();
  boards();
  setInterval(() => isPart() && !document.hidden && incidents.look(), LOOK_MILLISECONDS);
}

// --- the stream --------------------------------------------------------------------------------------------------------

function open() {
  const query = wanted();
  asked = JSON.stringify(query);
  feed.clear();
  stream.start(query);
}

/** What the stream is asked for; words are looked for here, in what came. */
function wanted() {
  const query = { last: ROWS };
  const severity = byId("filter-severity").value;
  const types = patterns();
  if (types.length) query.type = types;
  if (severity) query.severity = `>=${severity}`;
  return query;
}

function patterns() {
  return byId("filter-type").value.split(/[\s,]+/).filter(Boolean);
}

function isPart() {
  return stream.query.type !== undefined || stream.query.severity !== undefined;
}

function state(now, { reason, retryAt }) {
  if (now === "live") connection("live", "Live");
  else if (now === "waiting") lost(reason, retryAt);
}

function lost(reason, retryAt) {
  if (left === null) {
    left = Date.now();
    byId("announce").textContent = "Disconnected";
  }
  connection("waiting", "Disconnected");
  byId("away").hidden = false;
  byId("away-since").textContent = clock(left);
  byId("away-reason").textContent = reason;
  countdown(retryAt);
}

function countdown(retryAt) {
  clearTimeout(countdown.timer);
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  byId("away-retry").textContent = seconds ? `Trying again in ${seconds} s.` : "Trying again.";
  if (seconds) countdown.timer = setTimeout(() => countdown(retryAt), 500);
}

function connection(name, text) {
  document.documentElement.dataset.connection = name;
  byId("connection").dataset.state = name;
  byId("connection-text").textContent = text;
}

function hello({ time, version: theirs }) {
  setClock(time);
  if (version && theirs !== version) location.reload();
  version = theirs;
  byId("away").hidden = true;
  clearTimeout(countdown.timer);
  if (left !== null) {
    byId("announce").textContent = "Connected again";
    left = null;
    incidents.absent = false;
    incidents.touch();
    house.look();
    boards();
  }
}

function event(entry) {
  feed.add(entry);
  if (concerns(entry.event)) incidents.touch();
}

function gap({ reason, after, until }) {
  const count = (until - after).toLocaleString("en");
  if (reason === "pruned") feed.say(`The journal no longer has events ${after + 1} to ${until}`);
  if (reason === "skipped") {
    feed.clear();
    if (until > after) feed.say(`${count} events came while this page was away; here are the newest`);
  }
}

function config() {
  boards();
}

async function refused(refusal) {
  if (refusal.status === 400) {
    complain(refusal.message);
    return;
  }
  house.stop();
  await again(refusal.message);
  who.session = await present();
  open();
  house.look();
  incidents.look();
}

// --- boards ------------------------------------------------------------------------------------------------------------

async function boards() {
  let found = [];
  try {
    const answer = await fetch("/v1/displays", { cache: "no-store" });
    if (answer.ok) found = (await answer.json()).displays;
  } catch {
    return;
  }
  const links = found.map(({ name, title }) =>
    make("li", {}, make("a", { className: "board", href: `/display/${encodeURIComponent(name)}` }, make("span", { className: "wild", textContent: title || name }))),
  );
  byId("boards").replaceChildren(...links);
  byId("boards-panel").hidden = links.length === 0;
}

// --- the filter --------------------------------------------------------------------------------------------------------

/** As it stands in the address, so that it can be handed on, and holds when the page is loaded anew. */
function restore() {
  const given = new URLSearchParams(location.search);
  for (const name of ["text", "type", "severity"]) byId(`filter-${name}`).value = given.get(name) ?? "";
  feed.filter(byId("filter-text").value);
  byId("filter-clear").hidden = !isFiltered();
}

function isFiltered() {
  return ["text", "type", "severity"].some((name) => byId(`filter-${name}`).value.trim());
}

function filtered() {
  const query = new URLSearchParams();
  for (const name of ["text", "type", "severity"]) {
    const value = byId(`filter-${name}`).value.trim();
    if (value) query.set(name, value);
  }
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  byId("filter-clear").hidden = !isFiltered();
  feed.filter(byId("filter-text").value);
  const wrong = patterns().find((each) => !PATTERN.test(each));
  complain(wrong ? `${wrong} is no pattern: words with dots between them, * for any one word, # for any number, such as disk.#` : "");
  if (!wrong && JSON.stringify(wanted()) !== asked) open();
}

function complain(problem) {
  byId("filter-type").setAttribute("aria-invalid", String(problem !== ""));
  byId("filter-problem").textContent = problem;
}

function clearFilter() {
  for (const name of ["text", "type", "severity"]) byId(`filter-${name}`).value = "";
  filtered();
}

// --- by hand -----------------------------------------------------------------------------------------------------------

function listen() {
  let timer = null;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(filtered, TYPING_MILLISECONDS);
  };
  byId("filter-text").addEventListener("input", soon);
  byId("filter-type").addEventListener("input", soon);
  byId("filter-severity").addEventListener("change", filtered);
  byId("filter-clear").addEventListener("click", clearFilter);
  byId("pause").addEventListener("click", pause);
  byId("feed").addEventListener("release", showPause);
  byId("away-now").addEventListener("click", () => stream.retry());
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("leave").addEventListener("click", () => signOut().finally(() => location.reload()));
  new Shortcuts({ feed, incidents, clearFilter, pause });
}

function pause() {
  feed.pause();
  showPause();
}

function showPause() {
  byId("pause").setAttribute("aria-pressed", String(feed.paused));
  byId("pause").textContent = feed.paused ? "Go on" : "Pause";
}

begin();
