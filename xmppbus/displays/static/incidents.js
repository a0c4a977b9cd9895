/** Incidents: what fires, who has it, what is over. Acknowledged and resolved from here as from any chat. */

import { byId, make, outward, plain, wild } from "./elements.js";
import { SEVERITIES, mark } from "./marks.js";
import { clock, lasting, moment, now } from "./moments.js";
import { refusalOf } from "./stream.js";

const OPEN = 100;
const RESOLVED = 6;
const CALM_MILLISECONDS = 250; // of a burst of changes, one look
const FLOOD = 3; // incidents told one by one; more are told as a number

/** Whether an event may have changed an incident. */
export function concerns(event) {
  return (event.key !== undefined && event.status !== undefined) || event.type.startsWith("incident.");
}

export class Incidents {
  /** `who()` says in whose name something is done, or null when the person has thought better of it. */
  constructor({ who, counted, chosen }) {
    this.who = who;
    this.counted = counted;
    this.chosen = chosen;
    this.list = byId("incidents");
    this.known = null; // keys that were firing when we looked last
    this.signature = "";
    this.timer = null;
    this.busy = false;
    this.again = false;
    this.absent = false; // this bus keeps none; another config may change that, after a restart
    this.said = new Map(); // key -> what came of a button, for the person who pressed it
    this.list.addEventListener("click", (event) => this.#clicked(event));
  }

  /** Something may have changed: look soon. */
  touch() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.look();
    }, CALM_MILLISECONDS);
  }

  async look() {
    if (this.absent) return;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      const [open, over] = await Promise.all([
        this.#fetched(`/v1/incidents?limit=${OPEN}`),
        this.#fetched(`/v1/incidents?status=resolved&limit=${RESOLVED}`),
      ]);
      this.#show(open.sort(byUrgency), over);
    } catch (refusal) {
      if (refusal.status === 501) this.#none(refusal.message);
    } finally {
      this.busy = false;
      if (this.again) {
        this.again = false;
        this.touch();
      }
    }
  }

  async #fetched(path) {
    const answer = await fetch(path, { cache: "no-store" });
    if (!answer.ok) throw await refusalOf(answer);
    return answer.json();
  }

  #none(why) {
    this.absent = true;
    byId("incidents-none").hidden = false;
    byId("incidents-none").textContent = plain(why);
    byId("standing").hidden = true;
    this.counted({ firing: 0, acknowledged: 0, worst: null });
  }

  #show(open, over) {
    const firing = open.filter((each) => each.status === "firing");
    const worst = firing[0]?.severity ?? null;
    byId("incidents-none").hidden = true;
    byId("standing").hidden = false;
    const more = open.length === OPEN ? "+" : "";
    byId("firing").textContent = `${firing.length.toLocaleString("en")}${more}`;
    byId("acknowledged").textContent = (open.length - firing.length).toLocaleString("en");
    byId("standing").dataset.firing = String(firing.length > 0);
    byId("standing").dataset.severity = worst ?? "";
    this.counted({ firing: firing.length, acknowledged: open.length - firing.length, worst });
    this.#tell(firing);
    this.#draw([...open, ...over]);
  }

  #draw(all) {
    const signature = JSON.stringify([all, [...this.said]]);
    if (signature === this.signature) return; // a button that somebody is about to press stays where it is
    this.signature = signature;
    const at = document.activeElement?.closest?.(".incident");
    const focused = at && this.list.contains(at) ? { key: at.dataset.key, action: document.activeElement.dataset.action } : null;
    this.list.replaceChildren(...all.map((each) => this.#card(each)));
    if (focused) this.#focus(focused);
  }

  #focus({ key, action }) {
    const card = this.#cardOf(key) ?? this.list.firstElementChild;
    const button = action ? card?.querySelector(`[data-action="${action}"]`) : null;
    (button ?? card)?.focus({ preventScroll: true });
  }

  #cardOf(key) {
    return [...this.list.children].find((card) => card.dataset.key === key);
  }

  #card(incident) {
    const { key, status } = incident;
    const over = status === "resolved";
    const severity = over ? "resolved" : incident.severity;
    const problem = this.said.get(key);
    return make(
      "li",
      { className: "incident", tabIndex: -1, data: { key, status, severity: incident.severity } },
      make("span", { className: "incident__mark" }, mark(severity)),
      make(
        "p",
        { className: "incident__state" },
        make("span", { className: "status", data: { status }, textContent: status }),
        make("span", { className: "incident__severity", textContent: incident.severity }),
        incident.flapping ? make("span", { className: "incident__flapping", textContent: "comes and goes" }) : null,
        moment(over ? incident.resolved : incident.opened, "incident__time"),
      ),
      make("p", { className: "incident__summary" }, wild(incident.summary)),
      make(
        "p",
        { className: "incident__about" },
        make("button", { className: "incident__key", type: "button", title: "Show its events", data: { action: "filter" } }, wild(key)),
        make("span", { className: "wild", textContent: incident.type }),
        incident.count > 1 ? make("span", { textContent: `${incident.count.toLocaleString("en")} times` }) : null,
        outward(incident.link, "row__link"),
      ),
      done(incident),
      over ? null : this.#buttons(incident),
      problem ? make("p", { className: "incident__problem", role: "alert", textContent: plain(problem) }) : null,
    );
  }

  #buttons({ key, status }) {
    const button = (action, text, first) =>
      make("button", { className: first ? "button button--first" : "button", type: "button", data: { action }, textContent: text, aria: { label: `${text} ${plain(key)}` } });
    const firing = status === "firing";
    return make("div", { className: "incident__buttons" }, firing ? button("ack", "Acknowledge", true) : button("unack", "Take back"), button("resolve", "Resolve"));
  }

  // --- told to those who don't see it ----------------------------------------------------------------------------------

  #tell(firing) {
    const keys = new Set(firing.map((each) => each.key));
    const fresh = this.known === null ? [] : firing.filter((each) => !this.known.has(each.key));
    this.known = keys;
    if (!fresh.length) return;
    const worst = fresh.slice(0, FLOOD).map((each) => `${each.severity}: ${plain(each.summary)}`);
    byId("announce").textContent = fresh.length > FLOOD ? `${fresh.length} new incidents, the worst: ${worst[0]}` : `New incident, ${worst.join("; ")}`;
  }

  // --- by hand -------------------------------------------------------------------------------------------------------

  #clicked(event) {
    const button = event.target.closest("[data-action]");
    const card = event.target.closest(".incident");
    if (!button || !card) return;
    if (button.dataset.action === "filter") this.chosen(card.dataset.key);
    else this.act(card.dataset.key, button.dataset.action);
  }

  /** Acknowledge, take back or resolve one. What the house says to it is said beside it. */
  async act(key, action) {
    const by = await this.who(action);
    if (by === null) return;
    this.said.delete(key);
    try {
      const path = `/v1/incidents/${encodeURIComponent(key)}/${action}`;
      const options = by ? { body: JSON.stringify({ by }), headers: { "Content-Type": "application/json" } } : {};
      const answer = await fetch(path, { method: "POST", ...options });
      if (!answer.ok) throw await refusalOf(answer);
    } catch (refusal) {
      this.said.set(key, refusal.status === undefined ? "The house does not answer; nothing was done." : refusal.message);
    }
    await this.look();
  }

  /** The key `a`: the incident that is in focus; without one, the worst is put in focus first. */
  acknowledge() {
    const card = document.activeElement?.closest?.(".incident");
    if (card?.dataset.status === "firing") this.act(card.dataset.key, "ack");
    else this.list.querySelector(".incident[data-status='firing']")?.focus();
  }

  /** Go so many cards down, or up. */
  go(steps) {
    const cards = [...this.list.children];
    const at = cards.indexOf(document.activeElement?.closest?.(".incident"));
    cards[Math.min(cards.length - 1, Math.max(0, at + steps))]?.focus();
  }
}

/** Who did what about it, and when. */
function done({ status, by, acknowledged, resolved, opened }) {
  const who = by ? [" by ", wild(by)] : [];
  if (status === "acknowledged") return make("p", { className: "incident__done" }, "Acknowledged", ...who, ", ", stamp(acknowledged));
  if (status !== "resolved") return null;
  const length = Date.parse(resolved) - Date.parse(opened);
  return make("p", { className: "incident__done" }, `Over after ${lasting(length)}`, ...(by ? [acknowledged ? ", acknowledged" : ", resolved", ...who] : []));
}

function stamp(time) {
  const at = Date.parse(time);
  const far = now() - at > 20 * 3_600_000;
  return make("time", { dateTime: time, textContent: far ? new Date(at).toLocaleString() : clock(at) });
}

function byUrgency(one, other) {
  return (
    Number(one.status !== "firing") - Number(other.status !== "firing") ||
    SEVERITIES.indexOf(other.severity) - SEVERITIES.indexOf(one.severity) ||
    Date.parse(other.opened) - Date.parse(one.opened)
  );
}
