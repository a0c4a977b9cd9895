/**
 * A numeric field over the window, drawn by Vega from the specification that the server makes for its pictures, too.
 *
 * Vega's expressions are interpreted (`ast`), for the page's policy lets nobody make code from text. Each drawing has a
 * view of its own, which is then given up: one whose data is changed again and again keeps what it has forgotten (100 MB
 * after ten minutes), and a board runs for weeks.
 */

import { foundAt, made, nameOf, number, timeOf, write } from "./panel-shown.js";

const AGAIN_MILLISECONDS = 1_000;
const REST = 20; // times as long as the last drawing took, so that charts take a twentieth of a small machine
const AGAIN_AFTER_FAILURE_MILLISECONDS = 20_000; // the server makes the script of Vega when it is first asked for it

export function chart(panel, { limits, theme, ready }) {
  const points = new Points(panel, limits);
  const problem = made("p", "chart__problem");
  problem.hidden = true;
  const element = made("div", "chart", problem);
  element.setAttribute("role", "img");
  let canvas = null; // what is seen
  let size = "";
  let dirty = true;
  let busy = false;
  let next = 0; // not before
  let late = 0; // then also where nothing is new: time goes on

  async function draw(now) {
    const wanted = `${element.clientWidth}x${element.clientHeight}/${theme()}`;
    const resized = size !== "" && size !== wanted;
    if (busy || (now < next && !resized) || element.clientWidth < 40 || element.clientHeight < 40) return;
    if (wanted === size && !dirty && now < late) return;
    busy = true;
    dirty = false;
    size = wanted;
    const fresh = made("div", "chart__drawing");
    element.append(fresh); // above the old one, until it is there
    try {
      const vega = await ready();
      const begun = performance.now();
      const finalize = await drawnInto(vega, fresh, panel, theme(), points, now);
      const took = performance.now() - begun;
      finalize(); // what is on the canvas stays
      canvas?.remove();
      canvas = fresh;
      problem.hidden = true;
      element.ariaLabel = `${panel.title}: ${points.latest(panel.unit ?? "")}`;
      next = now + took + Math.max(AGAIN_MILLISECONDS, REST * took);
      late = now + panel.window / 500;
    } catch (error) {
      fresh.remove();
      size = "";
      problem.hidden = false;
      write(problem, error.message);
      next = now + AGAIN_AFTER_FAILURE_MILLISECONDS;
    } finally {
      busy = false;
    }
  }

  function take({ event }, now) {
    dirty = points.take(event, now) || dirty;
  }

  return { element, take, draw, empty: () => points.none };
}

/** The parts of the window of each line: how many values, their sum, least, greatest, and the time of the last. */
class Points {
  constructor(panel, limits) {
    this.bucket = panel.values.bucket;
    this.limits = limits;
    this.path = panel.field.split(".");
    this.by = panel.by ? panel.by.split(".") : null;
    this.lines = new Map(panel.values.lines.map(([name, parts]) => [name, new Map(parts.map(([index, ...part]) => [index, part]))]));
  }

  get none() {
    return this.lines.size === 0;
  }

  few(now) {
    this.#forget(now);
    return Math.max(0, ...[...this.lines.values()].map((parts) => parts.size)) <= this.limits.dots;
  }

  take(event, now) {
    const value = foundAt(event, this.path);
    if (typeof value !== "number" || !Number.isFinite(value)) return false;
    const at = timeOf(event, now);
    const name = this.by ? nameOf(event, this.by) : "";
    if (!this.lines.has(name)) {
      this.#forget(now);
      if (this.lines.size >= this.limits.series) return false;
      this.lines.set(name, new Map());
    }
    const parts = this.lines.get(name);
    const index = Math.floor(at / this.bucket);
    const part = parts.get(index);
    if (!part) parts.set(index, [1, value, value, value, at]);
    else parts.set(index, [part[0] + 1, part[1] + value, Math.min(part[2], value), Math.max(part[3], value), Math.max(part[4], at)]);
    if (parts.size > 2 * this.limits.points) this.#forget(now);
    return true;
  }

  /** As the specification has them: {t, v, s, low, high}. */
  rows(now) {
    this.#forget(now);
    const rows = [];
    for (const [name, parts] of this.lines) {
      for (const [, [count, sum, low, high, at]] of [...parts].sort((a, b) => a[0] - b[0])) {
        rows.push({ t: at, v: sum / count, low, high, ...(name ? { s: name } : {}) });
      }
    }
    return rows;
  }

  /** The newest value of each line, in words. */
  latest(unit) {
    const newest = (parts) => parts.get(Math.max(...parts.keys()));
    return [...this.lines].map(([name, parts]) => `${name} ${number(newest(parts)[1] / newest(parts)[0])} ${unit}`.trim()).join(", ");
  }

  #forget(now) {
    const latest = Math.floor(now / this.bucket);
    for (const [name, parts] of this.lines) {
      for (const index of parts.keys()) if (index <= latest - this.limits.points) parts.delete(index);
      if (parts.size === 0) this.lines.delete(name);
    }
  }
}

async function drawnInto(vega, canvas, panel, theme, points, now) {
  const em = Number.parseFloat(getComputedStyle(canvas).fontSize) || 16;
  const specification = fitted(structuredClone(panel.specifications[theme]), canvas, em, points, now, panel.window);
  const { finalize } = await vega(canvas, specification, {
    ast: true,
    actions: false,
    defaultStyle: false,
    tooltip: false,
    hover: false,
    renderer: "canvas",
    logLevel: 1,
  });
  return finalize;
}

/** The specification for this panel: its size, its letters, the page's colours, and the window as the axis of time. */
function fitted(specification, canvas, em, points, now, window_) {
  const colours = getComputedStyle(document.documentElement);
  const colour = (name) => colours.getPropertyValue(name).trim();
  const letters = { labelFont: FONT, labelFontSize: Math.round(em * 0.85) };
  const { config } = specification;
  specification.width = canvas.clientWidth;
  specification.height = canvas.clientHeight;
  specification.data.values = points.rows(now);
  // Numbers in a domain of times are years to Vega-Lite; what an expression says is milliseconds.
  specification.encoding.x.scale = { domainMin: { expr: String(now - window_) }, domainMax: { expr: String(now) } };
  specification.encoding.x.axis.tickCount = { expr: `ceil(width / ${Math.round(em * 9)})` };
  const thick = Math.max(2, em / 8);
  for (const layer of specification.layer) {
    if (layer.encoding.y.axis) layer.encoding.y.axis.tickCount = { expr: `ceil(height / ${Math.round(em * 4)})` };
    layer.mark.clip = true;
    if (layer.mark.type !== "line") continue;
    layer.mark.strokeWidth = thick;
    layer.mark.point = points.few(now) ? { size: (thick * 2.6) ** 2, filled: true } : false;
  }
  config.background = "transparent";
  config.font = FONT;
  config.padding = { left: 2, top: Math.round(em * 0.4), right: Math.round(em * 0.6), bottom: 2 };
  Object.assign(config.axis, letters, { labelColor: colour("--muted"), gridColor: colour("--line"), domainColor: colour("--line"), tickColor: colour("--line"), gridWidth: em / 16, tickWidth: em / 16, domainWidth: em / 16 });
  Object.assign(config.legend, letters, { labelColor: colour("--text"), labelFontSize: Math.round(em * 0.95), symbolSize: (em * 0.7) ** 2, labelLimit: em * 14, columnPadding: em, offset: Math.round(em * 0.5) });
  return specification;
}

const FONT = "system-ui, sans-serif";
