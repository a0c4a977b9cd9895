/** Keys. Single letters can be switched off (WCAG 2.1.4), and none works while somebody types or a dialog is open. */

import { byId } from "./elements.js";
import { kept, keep } from "./surroundings.js";

export class Shortcuts {
  constructor({ feed, incidents, clearFilter, pause }) {
    this.feed = feed;
    this.incidents = incidents;
    this.keys = {
      j: () => this.#go(1),
      k: () => this.#go(-1),
      ArrowDown: () => this.#go(1, true),
      ArrowUp: () => this.#go(-1, true),
      Enter: () => this.#open(),
      a: () => this.incidents.acknowledge(),
      i: () => this.#toIncidents(),
      e: () => this.#toFeed(),
      n: () => feed.release(),
      p: pause,
      t: () => byId("theme").click(),
      "/": () => byId("filter-text").focus(),
      "?": () => byId("help").showModal(),
      Escape: clearFilter,
    };
    const box = byId("shortcuts");
    box.checked = kept("shortcuts") !== "off";
    box.addEventListener("change", () => keep("shortcuts", box.checked ? "" : "off"));
    document.addEventListener("keydown", (event) => this.#pressed(event));
    feed.list.addEventListener("focusin", () => feed.reachable());
  }

  #pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || event.isComposing) return;
    if (document.querySelector("dialog[open], .sign-in")) return;
    if (event.target.closest("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key.length === 1 && !byId("shortcuts").checked) return;
    const key = Object.hasOwn(this.keys, event.key) ? this.keys[event.key] : null;
    if (key && key() !== false) event.preventDefault();
  }

  /** Rows of the feed, unless one is among the incidents. The arrows scroll, as ever, where no row is in focus. */
  #go(steps, arrow = false) {
    const at = document.activeElement;
    if (at?.closest?.(".incident")) this.incidents.go(steps);
    else if (!arrow || at?.closest?.(".row")) this.feed.go(steps);
    else return false;
    return true;
  }

  #open() {
    const at = document.activeElement;
    if (!at?.matches?.(".row")) return false;
    this.feed.open(at);
    return true;
  }

  #toIncidents() {
    this.incidents.list.firstElementChild?.focus();
  }

  #toFeed() {
    this.feed.go(0);
  }
}
