/** How many there were in the window (counter, with the window before), and how many in a second or minute (rate). */

import { drawn, made, number, span, timeOf, write } from "./panel-shown.js";

/** Counts in the parts of the window and of the one before: as many numbers, however many events. */
class Counts {
  constructor({ bucket, counts }, most) {
    this.bucket = bucket;
    this.most = most; // parts of both windows
    this.counts = new Map(counts);
  }

  take(at) {
    const index = Math.floor(at / this.bucket);
    this.counts.set(index, (this.counts.get(index) ?? 0) + 1);
  }

  /** Of each part of both windows, oldest first. */
  parts(now) {
    const latest = Math.floor(now / this.bucket);
    for (const index of this.counts.keys()) if (index <= latest - this.most) this.counts.delete(index);
    return Array.from({ length: this.most }, (_, step) => this.counts.get(latest - this.most + 1 + step) ?? 0);
  }
}

const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);

export function counter(panel, { limits }) {
  return counted(panel, limits, (current, before) => {
    const words = `in ${span(panel.window)}`;
    if (panel.since) return { value: number(current), unit: "", words: `since ${moment(panel.since)}`, trend: "same" };
    if (before === 0) return { value: number(current), unit: "", words, trend: "same" };
    const change = Math.round((100 * (current - before)) / before);
    const trend = change > 0 ? "more" : change < 0 ? "less" : "same";
    const signs = { more: "▲", less: "▼", same: "=" };
    const compared = change === 0 ? "as many as" : `${number(Math.abs(change))}\u2009% ${trend} than`;
    return { value: number(current), unit: "", words: `${signs[trend]} ${compared} the ${span(panel.window)} before`, trend };
  });
}

export function rate(panel, { limits }) {
  return counted(panel, limits, (current) => {
    const seconds = panel.window / 1000;
    const units = [["s", 1], ["min", 60], ["h", 3600], ["d", 86_400]];
    const [unit, length] = units.find(([, each]) => (current / seconds) * each >= 1) ?? units.at(current ? -1 : 1);
    const value = (current / seconds) * length;
    const shown = value >= 100 ? Math.round(value) : Number(value.toPrecision(2));
    return { value: number(shown), unit: `/${unit}`, words: `over ${span(panel.window)}`, trend: "same" };
  });
}

function counted(panel, limits, told) {
  const counts = new Counts(panel.values, limits.buckets);
  const value = made("span", "counted__value");
  const unit = made("span", "counted__unit");
  const words = made("p", "counted__words");
  const bars = made("div", "counted__bars");
  const drawing = drawn("svg", { viewBox: `0 0 ${limits.buckets / 2} 100`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const path = drawn("path", { d: "" });
  drawing.append(path);
  bars.append(drawing);
  const element = made("div", "counted", made("p", "counted__number", value, unit), words, bars);

  function draw(now) {
    const parts = counts.parts(now);
    const current = parts.slice(limits.buckets / 2);
    const found = told(sum(current), sum(parts.slice(0, limits.buckets / 2)));
    write(value, found.value);
    write(unit, found.unit);
    write(words, found.words);
    element.style.setProperty("--characters", String(found.value.length + found.unit.length * 0.55));
    element.dataset.trend = found.trend;
    const shape = barsOf(current);
    if (path.getAttribute("d") !== shape) path.setAttribute("d", shape);
  }

  return { element, take: ({ event }, now) => counts.take(timeOf(event, now)), draw, empty: () => false };
}

/** All bars as one path: nothing grows in the page however long it runs. */
function barsOf(numbers) {
  const most = Math.max(1, ...numbers);
  return numbers
    .map((each, index) => (each ? `M${index + 0.12} 100V${(100 - (each / most) * 96 - 4).toFixed(2)}h.76V100Z` : ""))
    .join("");
}

function moment(text) {
  return new Date(text).toLocaleString("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit" });
}
