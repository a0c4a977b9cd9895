/**
 * A board on a screen that nobody touches. It asks for what its panels show, and from there on for what happens; it
 * draws a few times a second however much that is, keeps no more than the server does, and loads itself anew when the
 * config has changed.
 */

import { again, present } from "./session.js";
import { Stream, refusalOf } from "./stream.js";
import { chart } from "./panel-chart.js";
import { counter, rate } from "./panel-counted.js";
import { feed } from "./panel-feed.js";
import { lights, table, text } from "./panel-latest.js";
import { made, matches, write } from "./panel-shown.js";

const KINDS = { feed, counter, rate, chart, table, lights, text };
const DRAW_MILLISECONDS = 200; // between two drawings, while something happens
const TICK_MILLISECONDS = 1_000; // ages grow, and windows move on
const AGAIN_SECONDS = 10; // after a refusal, and after a reload that did not help
const LIFE_MILLISECONDS = 24 * 3_600_000; // then it loads itself anew: whatever a browser collects in weeks, it can't here
const MISSED_EVENTS = 20_000; // after a break in which more came, the server's sums are asked for again
const WORDS = { connecting: "Connecting…", waiting: "Disconnected", stopped: "Disconnected" };

const head = { title: document.querySelector(".board__title"), state: document.querySelector(".board__state"), clock: document.querySelector(".board__clock") };
const grid = document.querySelector(".board__grid");
const dark = matchMedia("(prefers-color-scheme: dark)");

let board = null; // what the server said
let panels = []; // what is on the screen
let offset = 0; // the server's clock, seen from ours
let drawing = null;
let lost = 0; // since when the connection is

const now = () => Date.now() + offset;
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const stream = new Stream({
  most: MISSED_EVENTS,
  on: {
    state: (state, more) => state === "live" ? connected() : disconnected(state, more),
    hello: (hello) => {
      if (hello.config !== board.config || hello.version !== board.version) anew(`${hello.config} ${hello.version}`);
    },
    config: ({ config }) => {
      if (config !== board.config) anew(`${config} ${board.version}`);
    },
    event: take,
    gap: ({ reason }) => {
      if (reason !== "slow") begin(); // something is gone for good, or too much to read: what is counted is wrong
    },
    refused: async (refusal) => {
      if (refusal.status === 401) await again(refusal.message);
      else await pause(AGAIN_SECONDS);
      begin();
    },
  },
});

/** Ask for the board, build it, and follow what happens from there on. Goes on until that has worked. */
async function begin() {
  stream.stop();
  for (;;) {
    try {
      build(await asked());
      stream.start({ type: [...new Set(board.panels.map((panel) => panel.match.type ?? "#"))], since: board.sequence });
      return;
    } catch (refusal) {
      disconnected("waiting", { reason: refusal.message });
      if (refusal.status === 401) await again(refusal.message);
      else await pause(refusal.status ? AGAIN_SECONDS : 2);
    }
  }
}

async function asked() {
  const name = location.pathname.split("/").at(-1); // as it is in the address: encoded
  const answer = await fetch(`/v1/displays/${name}`, { cache: "no-store" });
  if (!answer.ok) throw await refusalOf(answer);
  return answer.json();
}

function build(found) {
  board = found;
  offset = found.time - Date.now();
  document.title = found.title;
  write(head.title, found.title);
  if (found.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = found.theme;
  grid.style.setProperty("--columns", String(found.columns));
  grid.style.setProperty("--rows", String(found.rows[0]));
  grid.style.setProperty("--rows-portrait", String(found.rows[1]));
  for (const panel of panels) panel.close?.();
  panels = found.panels.map((panel) => ({ ...KINDS[panel.kind](panel, { limits: found.limits, theme, ready }), match: panel.match, stale: true }));
  grid.replaceChildren(...panels.map((panel, index) => framed(found.panels[index], panel)));
  draw();
}

/** A panel's frame: where it is in the grid, its title, and what it shows. */
function framed({ kind, title, place, portrait }, panel) {
  const body = made("div", "panel__body", panel.element);
  const frame = made("section", `panel panel--${kind}`, made("h2", "panel__title", made("bdi", "", title)), body);
  panel.nothing = made("p", "panel__nothing", "Nothing yet");
  body.append(panel.nothing);
  for (const [name, [column, row, columns, rows]] of [["place", place], ["portrait", portrait]]) {
    frame.style.setProperty(`--${name}`, `${row} / ${column} / span ${rows} / span ${columns}`);
  }
  return frame;
}

function take(message) {
  for (const panel of panels) {
    if (!matches(panel.match, message.event)) continue;
    panel.take(message, now());
    panel.stale = true;
  }
  drawing ??= setTimeout(draw, DRAW_MILLISECONDS, false);
}

/** What changed; or, without a word, everything. */
function draw(all = true) {
  drawing = null;
  for (const panel of panels) {
    if (!all && !panel.stale) continue;
    panel.stale = false;
    const empty = panel.empty();
    panel.nothing.hidden = !empty;
    panel.element.style.visibility = empty ? "hidden" : "";
    panel.draw(now());
  }
}

function tick() {
  write(head.clock, new Date(now()).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }));
  if (lost) said();
  else if (performance.now() > LIFE_MILLISECONDS) anew("a day has passed");
  draw();
}

let word = "";

function connected() {
  lost = 0;
  document.body.dataset.state = "live";
  write(head.state, "");
}

/** Said at once: whoever looks must know that what is shown is old. A break of a second is none. */
function disconnected(state, { reason = "" } = {}) {
  if (state === "stopped" && document.body.dataset.state === "live") return; // by ourselves
  lost ||= Date.now();
  word = reason ? `${WORDS[state]}: ${reason}` : WORDS[state];
  document.body.dataset.state = "lost";
  said();
}

function said() {
  const since = new Date(lost).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  write(head.state, `✖ ${word} · since ${since}`);
}

const theme = () => (board.theme === "auto" ? (dark.matches ? "dark" : "light") : board.theme);

let bundle = null;

/** Vega, once a board has a chart. It is large, and there only with the extra `plots`. */
function ready() {
  bundle ??= loaded("/static/vega.js").catch((refusal) => {
    bundle = null;
    throw refusal;
  });
  return bundle;
}

async function loaded(address) {
  const answer = await fetch(address, { cache: "no-cache" });
  if (!answer.ok) throw await refusalOf(answer);
  await answer.arrayBuffer(); // now it is in the cache, where the element finds it
  await new Promise((resolve, reject) => {
    const script = made("script");
    script.type = "module"; // what it declares stays its own
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error("The script that draws charts can't be read")));
    script.src = address;
    document.head.append(script);
  });
  return window.vegaEmbed;
}

let reloading = false;

/** Load the page anew, once the house is there to answer: a browser's error page would never come back. */
async function anew(wanted) {
  if (reloading) return;
  reloading = true;
  if (sessionStorage.getItem("xmppbus.wanted") === wanted) await pause(AGAIN_SECONDS); // it did not help: no hurry
  for (;;) {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store" });
      if (answer.ok) break;
    } catch {
      // Still away.
    }
    await pause(2);
  }
  sessionStorage.setItem("xmppbus.wanted", wanted);
  location.reload();
}

new ResizeObserver(() => draw()).observe(grid);
dark.addEventListener("change", () => draw());
setInterval(tick, TICK_MILLISECONDS);
await present();
await begin();
