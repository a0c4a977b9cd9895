// A script of the old kind, in the head: the page is never drawn in a theme that the reader has not chosen.
try {
  const chosen = localStorage.getItem("xmppbus.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage in this browser: the system's wish it is.
}
