/**
 * What a board shows of an event: short texts and numbers, the same that xmppbus/displays/shown.py makes on the server.
 * Whatever it is, it is only ever text: elements are made by hand, and texts are set with textContent.
 */

const SEVERITIES = ["debug", "info", "notice", "warning", "error", "critical"];
const SUMMARY_CHARACTERS = 1000;
// Control characters, and those that turn the direction of what follows (xmppbus/render.py).
// eslint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g;
// eslint-disable-next-line no-control-regex
const ANSI = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

const characters = 300; // limits.BOARD_TEXT_CHARACTERS

/** One harmless line of at most so many characters. */
export function cut(text) {
  const points = Array.from(text.slice(0, 8 * characters)).slice(0, 4 * characters);
  const line = points.join("").replace(ANSI, "").replace(CONTROL, "").split(/\s+/u).filter(Boolean).join(" ");
  const left = Array.from(line);
  return left.length <= characters ? line : `${left.slice(0, characters - 1).join("")}…`;
}

/** Whatever a path leads to; undefined where there is nothing. */
export function foundAt(event, path) {
  let found = event;
  for (const step of path) {
    if (Array.isArray(found)) found = /^[0-9]+$/.test(step) ? found[Number(step)] : undefined;
    else if (found !== null && typeof found === "object" && Object.hasOwn(found, step)) found = found[step];
    else return undefined;
  }
  return found;
}

/** What a field says: text, a number, or null. What is made of more is shown as JSON. */
export function valueOf(event, path) {
  if (path.length === 1 && path[0] === "summary") return cut(summaryOf(event));
  if (path.length === 1 && path[0] === "severity") return event.severity ?? "info";
  const found = foundAt(event, path);
  if (found === undefined || found === null) return null;
  if (typeof found === "string") return cut(found);
  return typeof found === "number" ? found : cut(JSON.stringify(found));
}

/** Which row, lamp or line an event is of; its type where it lacks the field. */
export function nameOf(event, path) {
  const found = valueOf(event, path);
  return found === null || found === "" ? event.type : String(found);
}

/** One line for people: the sender's, else the first line of the text, else the type. */
export function summaryOf(event) {
  if (event.summary) return event.summary;
  const data = event.data !== null && typeof event.data === "object" && !Array.isArray(event.data) ? event.data.text : event.data;
  const text = typeof data === "string" ? data.trim() : "";
  return text ? Array.from(text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/, 1)[0]).slice(0, SUMMARY_CHARACTERS).join("") : event.type;
}

/** When it happened, in milliseconds; what is said to happen later happens now. */
export function timeOf(event, now) {
  const found = Date.parse(event.time);
  return Number.isNaN(found) ? now : Math.min(found, now);
}

/** Whether an event is like this: {type, severity, source, subject, key}, whatever of them is given. */
export function matches(match, event) {
  return (
    topicMatches(match.type ?? "#", event.type) &&
    (!match.severity || severityMatches(match.severity, event.severity ?? "info")) &&
    ["source", "subject", "key"].every((name) => !match[name] || match[name] === event[name])
  );
}

function severityMatches(wanted, severity) {
  if (!wanted.startsWith(">=")) return wanted === severity;
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(wanted.slice(2));
}

/** AMQP's patterns: `*` is exactly one word, `#` any number of words. */
function topicMatches(pattern, topic) {
  const words = topic.split(".");
  let reached = [true, ...words.map(() => false)];
  for (const part of pattern.split(".")) {
    const following = part === "#" ? [...reached] : reached.map(() => false);
    for (let index = 1; index <= words.length; index += 1) {
      if (part === "#") following[index] ||= following[index - 1];
      else following[index] = reached[index - 1] && (part === "*" || part === words[index - 1]);
    }
    reached = following;
  }
  return reached[words.length];
}

const NUMBERS = new Intl.NumberFormat("en", { maximumFractionDigits: 20 });
const THIN = "\u2009";

/** A number for people: `12 345.6`, with four figures that count. */
export function number(value) {
  const rounded = Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
  return Math.abs(rounded) >= 1e15 || (rounded !== 0 && Math.abs(rounded) < 1e-6) ? rounded.toExponential(3) : NUMBERS.format(rounded).replaceAll(",", THIN);
}

/** A value as text. */
export function said(value) {
  if (value === null) return "–";
  return typeof value === "number" ? number(value) : value;
}

const STEPS = [
  [60_000, 1_000, "s"],
  [3_600_000, 60_000, "min"],
  [48 * 3_600_000, 3_600_000, "h"],
  [Infinity, 86_400_000, "d"],
];

/** `now`, `12 s`, `3 min`, `5 h`, `8 d`. */
export function age(at, now) {
  const passed = Math.max(0, now - at);
  return passed < 5_000 ? "now" : span(passed);
}

/** How long: `5 min`, `24 h`, `90 d`. */
export function span(milliseconds) {
  const [, unit, name] = STEPS.find(([most]) => milliseconds < most);
  return `${Math.floor(milliseconds / unit)}${THIN}${name}`;
}

/** An element with a class, and children or text. */
export function made(name, className = "", ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Set a text only where it changed: what did not change is not drawn again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";

/** An element of a drawing. */
export function drawn(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
