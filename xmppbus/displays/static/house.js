/** How the house stands: one line at the top, why and what to do where it is not well, and its parts. */

import { byId, make, plain } from "./elements.js";
import { lasting } from "./moments.js";

const EVERY_MILLISECONDS = 5_000;
const WORDS = { up: "up", down: "down", behind: "behind", refusing: "refusing" };

export class House {
  constructor() {
    this.timer = null;
    this.looking = false;
  }

  /** Look now, and again in a while. */
  async look() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), EVERY_MILLISECONDS);
    if (this.looking || document.hidden) return;
    this.looking = true;
    try {
      const answer = await fetch("/v1/status", { cache: "no-store", signal: AbortSignal.timeout(EVERY_MILLISECONDS) });
      if (answer.ok) this.#show(await answer.json());
    } catch {
      // The stream says that the house is away.
    } finally {
      this.looking = false;
    }
  }

  stop() {
    clearTimeout(this.timer);
  }

  #show(status) {
    const { headline, reason, advice } = status.said;
    const state = status.state in WORDS ? status.state : "down";
    byId("health").dataset.state = state;
    write("health-headline", headline);
    byId("trouble").hidden = state === "up" && !reason;
    byId("trouble").dataset.state = state;
    write("trouble-headline", headline);
    write("trouble-reason", reason);
    advise(byId("trouble-advice"), advice);
    const facts = partsOf(status);
    byId("parts").replaceChildren(...facts.flatMap(([name, part, text]) => row(name, part, text)));
    byId("parts-panel").hidden = facts.length === 0;
    write("parts-said", inShort(facts, status));
    const notices = status.notices ?? [];
    byId("notices").replaceChildren(...notices.map((text) => make("li", {}, ...coded(text))));
  }
}

/** Text is written only where it changes: a screen reader says what is written. */
function write(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

function advise(element, text) {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(...coded(text));
}

/** `words` in backticks as code. */
function coded(text) {
  return plain(text).split("`").map((part, at) => (at % 2 ? make("code", { textContent: part }) : part));
}

/** One line where all is well: that it is, and how much it keeps. */
function inShort(facts, { journal }) {
  const bad = facts.filter(([, state]) => state !== "up").length;
  const parts = bad ? `${number(bad)} of ${number(facts.length)} parts not up` : `${number(facts.length)} parts up`;
  return journal ? `${parts} · ${journal.waiting ? `${number(journal.waiting)} waiting` : "nothing waits"} · ${number(journal.entries)} events` : parts;
}

function partsOf({ xmpp, outputs, journal, since }) {
  const found = [];
  if (xmpp) found.push(["XMPP", xmpp.state, xmpp.state === "up" ? `for ${lasting(Date.now() - Date.parse(xmpp.since))}` : ""]);
  for (const [name, part] of Object.entries(outputs ?? {})) found.push([name, part.state, waiting(part)]);
  if (journal) found.push(["journal", journal.accepting ? "up" : "down", `${number(journal.entries)} events, ${share(journal)}`]);
  if (journal?.dead) found.push(["dead", "down", `${number(journal.dead)} deliveries`]);
  if (found.length) found.push(["daemon", "up", `for ${lasting(Date.now() - Date.parse(since))}`]);
  return found;
}

function waiting({ waiting: count, held = 0, oldest_seconds: oldest }) {
  if (!count) return "nothing waits";
  const late = oldest === null || oldest === undefined ? "" : `, for ${lasting(oldest * 1000)}`;
  return held === count ? `${number(held)} held` : `${number(count)} waiting${late}`;
}

function share({ bytes, most_bytes: most }) {
  const percent = (100 * bytes) / most;
  return percent < 1 ? "under 1 % full" : `${Math.round(percent)} % full`;
}

function number(count) {
  return count.toLocaleString("en");
}

function row(name, state, text) {
  return [
    make("dt", { textContent: name }),
    make("dd", {}, make("span", { className: "part", data: { state: state === "up" ? "up" : "down" }, textContent: state }), make("span", { className: "part__text", textContent: text })),
  ];
}
