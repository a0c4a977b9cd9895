/** The latest of each: rows of a table, lamps, and one big text. */

import { mark } from "./marks.js";
import { age, drawn, made, nameOf, number, said, span, timeOf, valueOf, write } from "./panel-shown.js";

/** The latest row of each name: at most so many, those that were silent for longest go first. */
class Rows {
  constructor(panel, most, fields) {
    this.window = panel.window;
    this.most = most;
    this.by = panel.kind === "text" ? null : (panel.by ?? "key").split(".");
    this.fields = fields.map((field) => field.split("."));
    this.rows = new Map(panel.values.rows.map((row) => [row.name, row]));
  }

  take(event, now) {
    const at = timeOf(event, now);
    const name = this.by ? nameOf(event, this.by) : "";
    if ((this.rows.get(name)?.at ?? 0) > at) return;
    this.rows.delete(name);
    const cells = this.fields.map((path) => valueOf(event, path));
    this.rows.set(name, { name, at, severity: event.severity ?? "info", status: event.status ?? null, cells });
    if (this.rows.size > this.most) this.rows.delete(this.rows.keys().next().value);
  }

  /** All that are not too old, by name; `room` of them, then the worst and the latest come first. */
  shown(now, room = Infinity) {
    for (const [name, row] of this.rows) if (row.at <= now - this.window) this.rows.delete(name);
    let found = [...this.rows.values()];
    if (found.length > room) found = found.sort((a, b) => weight(b) - weight(a) || b.at - a.at).slice(0, room);
    return found.sort((a, b) => COLLATOR.compare(a.name, b.name));
  }

  get size() {
    return this.rows.size;
  }
}

const COLLATOR = new Intl.Collator("en", { numeric: true });
const WEIGHTS = { good: 0, notice: 1, acknowledged: 2, warning: 3, error: 4, critical: 5 };
const weight = (row) => WEIGHTS[lampOf(row)[0]];

/** What a row is like, and the word for it: a status says more than a severity. */
function lampOf({ status, severity }) {
  if (status === "resolved") return ["good", "resolved"];
  if (status === "acknowledged") return ["acknowledged", "acknowledged"];
  if (status === "firing") return [["debug", "info"].includes(severity) ? "notice" : severity, severity === "info" ? "firing" : severity];
  return ["debug", "info"].includes(severity) ? ["good", "good"] : [severity, severity];
}

const SEEN = "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2Zm0 1.9a3.9 3.9 0 1 0 0 7.8Z";

/** The shape of a lamp: each its own, for who sees no colour. */
function shape(name) {
  if (name !== "acknowledged") return mark(name === "good" ? "resolved" : name);
  const drawing = drawn("svg", { viewBox: "0 0 16 16", class: "mark", "aria-hidden": "true" });
  drawing.append(drawn("path", { d: SEEN }));
  return drawing;
}

/** Elements of a list that are used again and again: as many as there is room for. */
function pool(parent, make) {
  const elements = [];
  return (rows, fill) => {
    while (elements.length < rows.length) {
      elements.push(make());
      parent.append(elements.at(-1).element);
    }
    while (elements.length > rows.length) elements.pop().element.remove();
    rows.forEach((row, index) => fill(elements[index], row));
  };
}

function look(part, name) {
  if (part.element.dataset.look === name) return;
  part.element.dataset.look = name;
  part.shape.replaceChildren(shape(name));
}

export function lights(panel, { limits }) {
  const rows = new Rows(panel, limits.keys, []);
  const element = made("div", "lights");
  const fill = pool(element, () => {
    const lamp = { element: made("div", "lamp"), shape: made("span", "lamp__shape"), name: made("bdi", "lamp__name"), word: made("span", "lamp__word"), age: made("span", "lamp__age") };
    lamp.element.append(lamp.shape, made("div", "lamp__text", lamp.name, made("p", "lamp__state", lamp.word, " ", lamp.age)));
    return lamp;
  });

  function draw(now) {
    const { columns, lines } = arranged(rows.size, element);
    element.style.setProperty("--columns", String(columns));
    element.style.setProperty("--lines", String(lines));
    const room = columns * lines;
    const all = rows.shown(now);
    const over = all.length > room;
    const shown = over ? rows.shown(now, Math.max(1, room - 1)) : all;
    fill(over ? [...shown, null] : shown, (lamp, row) => {
      const [name, word] = row ? lampOf(row) : ["more", ""];
      look(lamp, row ? name : "more");
      write(lamp.name, row ? row.name : `and ${all.length - shown.length} more`);
      write(lamp.word, word);
      write(lamp.age, row ? age(row.at, now) : "");
    });
  }

  return { element, take: ({ event }, now) => rows.take(event, now), draw, empty: () => rows.size === 0 };
}

/** How many lamps side by side and below one another make the largest lamps; none lower than its words need. */
function arranged(count, element) {
  const { clientWidth: width, clientHeight: height } = element;
  const em = Number.parseFloat(getComputedStyle(element).fontSize) || 16;
  let best = { columns: 1, lines: Math.max(1, count), size: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const lines = Math.ceil(Math.max(1, count) / columns);
    const size = Math.min(width / columns / 4, height / lines);
    if (size > best.size) best = { columns, lines, size };
  }
  if (height / best.lines >= 2.6 * em) return best;
  return { columns: Math.max(1, Math.floor(width / (10 * em))), lines: Math.max(1, Math.floor(height / (2.6 * em))) };
}

export function table(panel, { limits }) {
  const rows = new Rows(panel, limits.keys, panel.columns);
  const body = made("div", "table__body");
  const head = made("div", "table__row table__row--head", made("span", "table__name", (panel.by ?? "key").split(".").at(-1)));
  head.append(...panel.columns.map((field) => made("span", "table__cell", field.split(".").at(-1))));
  const element = made("div", "table", head, body);
  element.style.setProperty("--columns", panel.columns.map((field) => (field === "summary" ? "3fr" : field === "time" ? "auto" : "1fr")).map((each) => `minmax(0, ${each === "auto" ? "0.8fr" : each})`).join(" "));
  const fill = pool(body, () => {
    const row = { element: made("div", "table__row"), shape: made("span", "table__shape"), name: made("bdi", ""), cells: panel.columns.map(() => made("bdi", "table__cell")) };
    row.element.append(made("span", "table__name", row.shape, row.name), ...row.cells);
    return row;
  });

  function draw(now) {
    const line = 2.1 * (Number.parseFloat(getComputedStyle(body).fontSize) || 16);
    const room = Math.max(1, Math.floor(body.clientHeight / line));
    const all = rows.shown(now);
    const over = all.length > room;
    const shown = over ? rows.shown(now, Math.max(1, room - 1)) : all;
    fill(over ? [...shown, null] : shown, (part, row) => {
      look(part, row ? lampOf(row)[0] : "more");
      write(part.name, row ? row.name : `and ${all.length - shown.length} more`);
      panel.columns.forEach((field, index) => {
        const value = row?.cells[index] ?? null;
        const text = field === "time" && row ? age(row.at, now) : row ? said(value) : "";
        write(part.cells[index], text);
        part.cells[index].classList.toggle("table__cell--number", typeof value === "number" || field === "time");
        head.children[index + 1].classList.toggle("table__cell--number", typeof value === "number" || field === "time");
      });
    });
  }

  return { element, take: ({ event }, now) => rows.take(event, now), draw, empty: () => rows.size === 0 };
}

export function text(panel) {
  const rows = new Rows(panel, 1, [panel.field ?? "summary"]);
  const shapeOf = made("span", "text__shape");
  const value = made("bdi", "text__value");
  const unit = made("span", "text__unit", panel.unit ?? "");
  const when = made("p", "text__age");
  const big = made("p", "text__big", value, unit);
  const element = made("div", "text", made("div", "text__whole", shapeOf, big), when);
  const part = { element, shape: shapeOf };

  function draw(now) {
    const [row] = rows.shown(now);
    if (!row) return;
    const found = row.cells[0];
    look(part, lampOf(row)[0]);
    write(value, typeof found === "number" ? number(found) : said(found));
    unit.hidden = typeof found !== "number" || !panel.unit;
    write(when, row.at > now - 5_000 ? "just now" : `${span(now - row.at)} ago`);
    // As large as it fits: one line where it is short, several where it is long.
    const length = Math.max(2, Array.from(value.textContent).length + (unit.hidden ? 0 : panel.unit.length * 0.5 + 0.5));
    const { clientWidth: width, clientHeight: height } = big.parentElement;
    const single = width / (0.62 * length + 1.4);
    const several = Math.sqrt((width * height) / (length * 0.95));
    const size = Math.max(10, Math.min(0.62 * height, length > 18 ? Math.max(single, several) : single, height / 1.15));
    big.parentElement.style.setProperty("--size", `${size.toFixed(1)}px`);
    big.style.setProperty("--lines", String(Math.max(1, Math.floor(height / (1.15 * size)))));
  }

  return { element, take: ({ event }, now) => rows.take(event, now), draw, empty: () => rows.shown(Date.now()).length === 0 };
}
