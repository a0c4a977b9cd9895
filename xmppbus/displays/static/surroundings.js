/** What is around the page: its title and icon, the theme, and whose hands are at it. */

import { byId } from "./elements.js";

/** What this browser keeps, if it keeps anything. */
export function kept(name) {
  try {
    return localStorage.getItem(`xmppbus.${name}`) ?? "";
  } catch {
    return "";
  }
}

export function keep(name, value) {
  try {
    if (value) localStorage.setItem(`xmppbus.${name}`, value);
    else localStorage.removeItem(`xmppbus.${name}`);
  } catch {
    // Then it holds until the page is left.
  }
}

// --- the title and the icon ----------------------------------------------------------------------------------------------

/** How many fire, where it is seen while the page is not. */
export function showCount({ firing }) {
  document.title = firing ? `(${firing}) firing · xmppbus` : "xmppbus";
  byId("icon").href = firing ? `data:image/svg+xml,${encodeURIComponent(badge(firing))}` : "/static/icon.svg";
}

function badge(count) {
  const text = count > 99 ? "99" : String(count);
  const size = text.length > 1 ? 20 : 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#c62031"/><text x="16" y="${16 + size * 0.36}" font-family="sans-serif" font-weight="700" font-size="${size}" text-anchor="middle" fill="#fff">${text}</text></svg>`;
}

// --- light and dark ------------------------------------------------------------------------------------------------------

const NEXT = { "": "dark", dark: "light", light: "" };
const CALLED = { "": "Theme: as the system has it", dark: "Theme: dark", light: "Theme: light" };

export function themes() {
  const button = byId("theme");
  const show = () => {
    const theme = document.documentElement.dataset.theme ?? "";
    button.setAttribute("aria-label", CALLED[theme]);
    button.title = CALLED[theme];
    button.dataset.theme = theme;
  };
  button.addEventListener("click", () => {
    const theme = NEXT[document.documentElement.dataset.theme ?? ""];
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    keep("theme", theme);
    show();
  });
  show();
}

// --- in whose name -------------------------------------------------------------------------------------------------------

const DOES = { ack: "Acknowledge", unack: "Take back", resolve: "Resolve" };

/** The name that others see beside what is done. It is asked for once; null: the person has changed their mind. */
export async function nameOf(action, session) {
  const known = kept("name");
  if (known) return known;
  const dialog = byId("who");
  const field = byId("who-name");
  byId("who-does").textContent = DOES[action];
  field.value = session?.name ?? "";
  dialog.returnValue = "";
  dialog.showModal();
  field.select();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return null;
  keep("name", field.value.trim());
  return field.value.trim();
}

/** The dialogs, whose forms go nowhere. */
export function dialogs() {
  byId("who-form").addEventListener("submit", (event) => {
    event.preventDefault();
    byId("who").close("yes");
  });
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  const name = byId("name");
  byId("help").addEventListener("toggle", () => (name.value = kept("name")));
  name.addEventListener("change", () => keep("name", name.value.trim()));
}
