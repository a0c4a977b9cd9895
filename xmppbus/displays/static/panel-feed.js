/** What happens, the newest on top; as many lines as there is room for. */

import { mark } from "./marks.js";
import { age, cut, made, summaryOf, timeOf, valueOf, write } from "./panel-shown.js";

const LINE = 3.1; // two lines of text and their distance, at least

export function feed(panel, { limits }) {
  const list = made("ol", "feed");
  const lines = panel.values.lines.slice(-limits.lines);
  const shown = new Map(); // sequence -> element, of those on the screen
  let first = true;

  function take({ sequence, event }, now) {
    lines.push({
      sequence,
      at: timeOf(event, now),
      type: event.type,
      severity: event.severity ?? "info",
      status: event.status ?? null,
      summary: cut(summaryOf(event)),
      subject: valueOf(event, ["subject"]),
    });
    if (lines.length > limits.lines) lines.shift();
  }

  function draw(now) {
    while (lines.length && lines[0].at <= now - panel.window) lines.shift();
    const room = Math.max(1, Math.floor(list.clientHeight / (LINE * Number.parseFloat(getComputedStyle(list).fontSize))));
    list.style.setProperty("--room", String(room));
    const wanted = lines.slice(-room);
    const keep = new Set(wanted.map((line) => line.sequence));
    for (const [sequence, element] of shown) {
      if (keep.has(sequence)) continue;
      element.remove();
      shown.delete(sequence);
    }
    for (const line of wanted) {
      let element = shown.get(line.sequence);
      if (!element) {
        element = lineOf(line, !first);
        shown.set(line.sequence, element);
        list.prepend(element);
      }
      write(element.lastElementChild, age(line.at, now));
    }
    // A line that came back into sight (a window that grew) belongs where its turn is.
    const order = wanted.toReversed().map((line) => shown.get(line.sequence));
    order.forEach((element, index) => {
      if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
    });
    first = false;
  }

  return { element: list, take, draw, empty: () => lines.length === 0 };
}

function lineOf(line, isNew) {
  const resolved = line.status === "resolved";
  const element = made("li", isNew ? "feed__line feed__line--new" : "feed__line");
  element.dataset.severity = line.severity;
  if (line.status) element.dataset.status = line.status;
  const about = [line.status, line.type, line.subject].filter(Boolean).join(" · ");
  element.append(
    mark(resolved ? "resolved" : line.severity),
    made("div", "feed__text", made("bdi", "feed__summary", line.summary), made("bdi", "feed__about", about)),
    made("span", "feed__age"),
  );
  return element;
}
