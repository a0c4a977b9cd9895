/** One event as a row of the feed, and its details, which are made when somebody wants to see them. */

import { followed, make, outward, plain, wild } from "./elements.js";
import { mark } from "./marks.js";
import { exactly, moment } from "./moments.js";

const SUMMARY_CHARACTERS = 1_000;
const CUT_CHARACTERS = 60; // about a line on a phone, of which two are shown
const DATA_CHARACTERS = 100_000;
const FIRST = ["type", "source", "subject", "severity", "key", "status", "tags", "time", "expires", "link"];
const APART = new Set([...FIRST, "summary", "data", "data_base64", "specversion"]);

/** One line for people: the sender's, else the first line of the text, else the type; as the chat has it. */
export function summaryOf(event) {
  if (event.summary) return event.summary;
  const text = typeof event.data === "string" ? event.data : event.data?.text;
  const line = typeof text === "string" ? text.trim().split(/\r\n|\r|\n/, 1)[0] : "";
  return line.slice(0, SUMMARY_CHARACTERS) || event.type;
}

/** What the filter looks at. */
export function wordsOf(event) {
  const text = typeof event.data === "string" ? event.data : JSON.stringify(event.data ?? "");
  const fields = [summaryOf(event), event.type, event.source, event.subject, event.key, event.status, event.tags, event.severity];
  return `${fields.filter(Boolean).join("\n")}\n${text.slice(0, 4_000)}`.toLowerCase();
}

/** The row. Its details are opened by whoever handles its clicks: `toggle(row)`. */
export function rowOf({ sequence, id, event }) {
  const severity = event.severity ?? "info";
  const details = `details-${sequence}`;
  const row = make(
    "li",
    { className: "row", tabIndex: -1, data: { severity, sequence } },
    make("span", { className: "row__mark" }, mark(severity), make("span", { className: "unseen", textContent: severity })),
    make("p", { className: "row__summary" }, wild(summaryOf(event))),
    about(event),
    moment(event.time, "row__time"),
    make("button", { className: "row__more", type: "button", tabIndex: -1, aria: { expanded: false, controls: details, label: "Details" } }),
    make("div", { className: "row__details", id: details, hidden: true }),
  );
  row.told = { sequence, id, event };
  return row;
}

function about(event) {
  const place = event.key ?? event.subject ?? event.source;
  const told = event.type.startsWith("incident."); // by the house: the type says the status
  const by = told ? event.data?.by : null;
  return make(
    "p",
    { className: "row__about" },
    make("span", { className: "row__type wild", textContent: event.type }),
    place ? wild(place, "row__place") : null,
    event.status && !told ? make("span", { className: "status", data: { status: event.status }, textContent: event.status }) : null,
    typeof by === "string" ? make("span", {}, "by ", wild(by)) : null,
    outward(event.link, "row__link"),
    ...(event.tags ? event.tags.split(",").slice(0, 4).map((tag) => wild(`#${tag}`, "row__tag")) : []),
  );
}

/** Open or close the details of a row; true when they are open now. */
export function toggle(row, open = row.querySelector(".row__details").hidden) {
  const details = row.querySelector(".row__details");
  if (open && !details.firstChild) details.append(...detailsOf(row.told));
  details.hidden = !open;
  row.classList.toggle("row--open", open);
  row.querySelector(".row__more").setAttribute("aria-expanded", String(open));
  return open;
}

function detailsOf({ sequence, id, event }) {
  const list = make("dl", { className: "fields" });
  const add = (name, value) => list.append(make("dt", { textContent: name }), make("dd", {}, value));
  for (const name of FIRST) if (event[name]) add(name, valueOf(name, event[name]));
  for (const [name, value] of Object.entries(event)) if (!APART.has(name)) add(name, wild(text(value)));
  add("item", wild(id));
  add("sequence", wild(sequence.toLocaleString("en")));
  const found = [];
  if (event.summary?.length > CUT_CHARACTERS) found.push(make("p", { className: "row__whole" }, wild(event.summary)));
  found.push(list);
  const data = event.data ?? event.data_base64;
  if (data !== undefined) {
    const shown = make("pre", { className: "row__data wild", tabIndex: 0, textContent: cut(text(data)), aria: { label: "Data" }, role: "region" });
    found.push(shown);
  }
  return found;
}

function valueOf(name, value) {
  if (name === "time" || name === "expires") return make("time", { dateTime: value, textContent: `${exactly(new Date(value))}` });
  if (name === "link" && followed(value)) return make("a", { href: followed(value).href, target: "_blank", rel: "noopener noreferrer" }, wild(value));
  return wild(text(value));
}

function text(value) {
  return plain(typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

function cut(whole) {
  if (whole.length <= DATA_CHARACTERS) return whole;
  return `${whole.slice(0, DATA_CHARACTERS)}\n… and ${(whole.length - DATA_CHARACTERS).toLocaleString("en")} more characters`;
}
