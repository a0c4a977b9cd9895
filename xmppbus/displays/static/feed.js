/**
 * The feed: newest first, a bounded number of rows, drawn once a frame however many events come.
 *
 * It holds still while somebody reads: while it is scrolled, paused, or details are open. What comes meanwhile is kept
 * and counted.
 */

import { byId, make } from "./elements.js";
import { rowOf, toggle, wordsOf } from "./row.js";

export const ROWS = 500; // in the document; more is slow on a phone, and nobody scrolls further
const KEPT = 2_000; // in memory, so that a filter finds more than what is shown
const AT_ONCE = 50; // rows made in a frame, more than a screen shows: a flood never takes the page away from its reader
const SLIDING = 8; // rows; more at once are not followed by the eye
const CALM_MILLISECONDS = 400;

export class Feed {
  constructor() {
    this.list = byId("feed");
    this.pill = byId("feed-new");
    this.empty = byId("feed-empty");
    this.entries = []; // newest first
    this.waiting = []; // what came and is not among them yet, oldest first
    this.undrawn = []; // what is, and has no row yet, oldest first
    this.words = [];
    this.paused = false;
    this.top = byId("feed-top");
    this.scroller = byId("scroller");
    this.drawn = 0;
    this.asked = false;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.#watch();
  }

  #watch() {
    new IntersectionObserver(() => this.#ask()).observe(this.top);
    this.list.addEventListener("click", (event) => this.#clicked(event));
    this.list.addEventListener("focusin", (event) => this.#current(event.target.closest(".row")));
    this.pill.addEventListener("click", () => this.release());
    document.addEventListener("visibilitychange", () => this.#ask());
  }

  /** What came over the stream. */
  add(entry) {
    this.waiting.push(entry);
    if (this.waiting.length > KEPT * 2) this.waiting.splice(0, this.waiting.length - KEPT);
    this.#ask();
  }

  /** A line between events: what the reader should know about what is missing there. */
  say(text) {
    this.add({ text });
  }

  clear() {
    this.entries = [];
    this.waiting = [];
    this.undrawn = [];
    this.list.replaceChildren();
    this.#ask();
  }

  /** Show only what has all these words; those of before are looked through, too. */
  filter(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.join(" ") === this.words.join(" ")) return;
    this.words = words;
    this.undrawn = [];
    this.list.replaceChildren(...this.#fitting(this.entries).slice(0, ROWS).map(drawn));
    this.#ask();
  }

  pause(paused = !this.paused) {
    this.paused = paused;
    this.#ask();
    return paused;
  }

  /** To the newest event, and go on. */
  release() {
    for (const row of this.list.querySelectorAll(".row--open")) toggle(row, false);
    this.paused = false;
    this.list.dispatchEvent(new CustomEvent("release", { bubbles: true }));
    this.scroller.scrollTop = 0;
    if (this.top.getBoundingClientRect().top < 0) this.top.scrollIntoView({ block: "center" });
    this.#ask();
  }

  get held() {
    // Side by side the feed scrolls by itself; on a phone the page does.
    const scrolled = this.scroller.scrollTop > 1 || this.top.getBoundingClientRect().top < 0;
    return this.paused || scrolled || this.list.querySelector(".row--open") !== null;
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  #ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.#draw();
    });
  }

  #draw() {
    const held = this.held;
    if (!held) this.#take();
    const count = held ? this.undrawn.length + this.#fitting(this.waiting).length : 0;
    this.pill.hidden = count === 0;
    if (count) this.pill.textContent = `${count.toLocaleString("en")}${count >= KEPT ? "+" : ""} new ${count === 1 ? "event" : "events"}`;
    this.empty.hidden = this.list.childElementCount > 0;
    this.list.setAttribute("aria-busy", String(this.undrawn.length > 0));
  }

  #take() {
    const came = this.waiting;
    this.waiting = [];
    this.undrawn.push(...this.#fitting(came));
    this.entries = [...came.reverse(), ...this.entries].slice(0, KEPT);
    const over = this.undrawn.length - ROWS;
    if (over > 0) {
      this.undrawn.splice(0, over); // they would leave at once, and so would all that is shown
      this.list.replaceChildren();
    }
    const rows = this.undrawn.splice(0, AT_ONCE).reverse().map(drawn);
    if (this.undrawn.length) this.#ask();
    if (!rows.length) return;
    const first = this.list.firstElementChild;
    this.list.prepend(...rows);
    while (this.list.childElementCount > ROWS) this.#drop(this.list.lastElementChild);
    this.#slide(rows, first);
  }

  #drop(row) {
    if (row.contains(document.activeElement)) row.previousElementSibling?.focus({ preventScroll: true });
    row.remove();
  }

  #slide(rows, first) {
    const at = performance.now();
    const calm = at - this.drawn > CALM_MILLISECONDS;
    this.drawn = at;
    if (!calm || !first?.isConnected || rows.length > SLIDING || this.still.matches) return;
    const height = first.offsetTop - rows[0].offsetTop;
    this.list.animate([{ transform: `translateY(${-height}px)` }, { transform: "none" }], { duration: 320, easing: "cubic-bezier(0.2, 0.8, 0.2, 1)" });
    for (const row of rows) row.classList.add("row--new");
  }

  #fitting(entries) {
    return this.words.length ? entries.filter((each) => this.#fits(each)) : entries;
  }

  #fits(entry) {
    if (entry.text) return true;
    entry.words ??= wordsOf(entry.event);
    return this.words.every((word) => entry.words.includes(word));
  }

  // --- by hand -------------------------------------------------------------------------------------------------------

  #clicked(event) {
    const row = event.target.closest(".row");
    const chosen = !getSelection().isCollapsed; // somebody marks text
    if (!row || event.target.closest("a, .row__details") || (chosen && !event.target.closest("button"))) return;
    this.#current(row);
    this.open(row);
  }

  open(row) {
    toggle(row);
    this.#ask();
  }

  /** The row that the keyboard is at. */
  get current() {
    return this.list.querySelector(".row[tabindex='0']");
  }

  #current(row) {
    if (!row || row === this.current) return;
    this.current?.setAttribute("tabindex", "-1");
    row.setAttribute("tabindex", "0");
  }

  /** Go so many rows down, or up. */
  go(steps) {
    const rows = [...this.list.querySelectorAll(".row")];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement?.closest?.(".row"));
    const row = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + steps))];
    this.#current(row);
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  }

  /** So that Tab reaches the feed at all. */
  reachable() {
    if (!this.current) this.#current(this.list.querySelector(".row"));
  }
}

function drawn(entry) {
  return entry.text ? make("li", { className: "between", textContent: entry.text }) : rowOf(entry);
}
