/** A shape for each severity, so that nobody needs to see colours: the marks of the chat and the terminal, drawn. */

const SVG = "http://www.w3.org/2000/svg";

export const SEVERITIES = ["debug", "info", "notice", "warning", "error", "critical"];

const SHAPES = {
  debug: "M8 6.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6Z",
  info: "M8 4.4a3.6 3.6 0 1 1 0 7.2 3.6 3.6 0 0 1 0-7.2Z",
  notice: "M8 1.6 14.4 8 8 14.4 1.6 8Z",
  warning: "M8 1.7c.4 0 .75.2.95.55l6.1 10.6c.42.73-.1 1.65-.95 1.65H1.9c-.85 0-1.37-.92-.95-1.65l6.1-10.6c.2-.35.55-.55.95-.55Z",
  error: "M4.1 1.9 8 5.8l3.9-3.9 2.2 2.2L10.2 8l3.9 3.9-2.2 2.2L8 10.2l-3.9 3.9-2.2-2.2L5.8 8 1.9 4.1Z",
  critical: "M3 1h4.2l-.6 9.2h-3ZM8.8 1H13l-.6 9.2h-3ZM5.1 11.4a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6ZM10.9 11.4a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6Z",
  resolved: "M6.2 13.3.9 8l2.1-2.1 3.2 3.2 6.8-6.8 2.1 2.1Z",
};

/** The mark of a severity (or of `resolved`) as an element; what it means is said beside it, in words or unseen. */
export function mark(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 16 16");
  drawing.setAttribute("class", "mark");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name] ?? SHAPES.info);
  drawing.append(path);
  return drawing;
}
