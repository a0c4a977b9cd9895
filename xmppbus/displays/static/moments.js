/** Times that stay true: by the house's clock, whatever the screen's own says, and written anew as they pass. */

let ahead = 0; // of this machine's clock, in milliseconds

/** The house's clock. */
export function now() {
  return Date.now() + ahead;
}

/** Take the house's time from its greeting. */
export function setClock(time) {
  const theirs = Date.parse(time);
  if (!Number.isNaN(theirs)) ahead = theirs - Date.now();
}

const UNITS = [
  ["d", 86_400, 2 * 86_400],
  ["h", 3_600, 2 * 3_600],
  ["min", 60, 120],
  ["s", 1, 0],
];

/** How long: `3 s`, `12 min`, `5 h`, `3 d`. */
export function lasting(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [unit, length] = UNITS.find(([, , from]) => seconds >= from);
  return `${Math.floor(seconds / length).toLocaleString("en")} ${unit}`;
}

/** Since when: `now`, `12 min`; what is still to come has a plus. */
export function since(at) {
  const passed = now() - at;
  if (passed < -60_000) return `+${lasting(-passed)}`;
  return passed < 2_000 ? "now" : lasting(passed);
}

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** The whole of it, for who wants to know. */
export function exactly(at) {
  return EXACT.format(at);
}

/** The time of day. */
export function clock(at) {
  return CLOCK.format(at);
}

/** An element that says how long ago a moment is, and goes on saying it. */
export function moment(time, className = "") {
  const element = document.createElement("time");
  const at = Date.parse(time);
  element.className = className;
  if (Number.isNaN(at)) return element;
  element.dateTime = new Date(at).toISOString();
  element.dataset.at = String(at);
  element.title = exactly(at);
  element.textContent = since(at);
  return element;
}

/** Write every time on the page anew, once a second, while somebody can see it. */
export function keepTrue() {
  const write = () => {
    for (const element of document.querySelectorAll("time[data-at]")) {
      const text = since(Number(element.dataset.at));
      if (element.textContent !== text) element.textContent = text;
    }
  };
  setInterval(() => document.hidden || write(), 1000);
  document.addEventListener("visibilitychange", () => document.hidden || write());
}
