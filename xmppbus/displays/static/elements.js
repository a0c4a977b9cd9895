/** Elements made by hand. Text is only ever text: nothing here, or in any page, takes markup. */

/** `make("p", {className: "row__summary", data: {severity: "warning"}, aria: {label: "..."}}, "text", element)` */
export function make(name, { data = {}, aria = {}, role, ...properties } = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  Object.assign(made.dataset, data);
  if (role) made.setAttribute("role", role);
  for (const [each, value] of Object.entries(aria)) made.setAttribute(`aria-${each}`, String(value));
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

/** The element with this id: a page that lacks it is broken, and says so at once. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/** Text of an event as an element of its own, so that its direction changes nothing around it. */
export function wild(text, className = "") {
  return make("bdi", { className, textContent: plain(text) });
}

const ANSI = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g;

/** Without terminal sequences, control characters and bidi overrides, as in the chat. */
export function plain(text) {
  return String(text).replace(ANSI, "").replace(CONTROL, "");
}

/** A link as it may be followed, else null: http and https alone, never a script. */
export function followed(link) {
  try {
    const url = new URL(link);
    return url.protocol === "https:" || url.protocol === "http:" ? url : null;
  } catch {
    return null;
  }
}

/** A link out of an event: its host is what is shown, so that nobody is taken where they did not want to go. */
export function outward(link, className) {
  const url = link ? followed(link) : null;
  if (!url) return null;
  return make("a", { className, href: url.href, target: "_blank", rel: "noopener noreferrer", title: plain(url.href).slice(0, 500) }, make("bdi", { textContent: url.host }), make("span", { ariaHidden: "true", textContent: " ↗" }));
}
