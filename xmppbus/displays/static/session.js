/**
 * Who is at the page. Data needs a token where the listener has tokens; the browser keeps it in a cookie that no
 * script can read (POST /v1/session). A screen without a keyboard gets it in the address: /#token=..., which no server
 * ever sees and which is taken out at once.
 */

import { make } from "./elements.js";
import { refusalOf } from "./stream.js";

const JSON_TYPE = { "Content-Type": "application/json" };

/** How things stand: {needed, name, scopes}. */
export async function session() {
  const answer = await fetch("/v1/session", { cache: "no-store" });
  if (!answer.ok) throw await refusalOf(answer);
  return answer.json();
}

/** Come in with a token. Raises Refused when it is none. */
export async function signIn(token) {
  const body = JSON.stringify({ token });
  const answer = await fetch("/v1/session", { method: "POST", headers: JSON_TYPE, body });
  if (!answer.ok) throw await refusalOf(answer);
}

/** Leave: the browser forgets the token. */
export async function signOut() {
  await fetch("/v1/session", { method: "DELETE" });
}

/** The session, once somebody is in: by the token in the address, or by the form. Waits while the house is away, and says so: `away()`. */
export async function present(away = () => {}) {
  const token = tokenOfAddress();
  let problem = "";
  if (token) {
    try {
      await signIn(token);
    } catch (refusal) {
      problem = refusal.message;
    }
  }
  for (;;) {
    const found = await patiently(session, away);
    if (!found.needed || found.name) return found;
    await form(problem);
    problem = "";
  }
}

/** The form alone, after a token has been taken back. */
export async function again(problem) {
  await form(problem);
}

function tokenOfAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  return given;
}

async function patiently(ask, away) {
  for (let seconds = 0.5; ; seconds = Math.min(10, seconds * 2)) {
    try {
      return await ask();
    } catch {
      away();
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
}

/** Shows the form over the page, until a token was taken. */
function form(problem) {
  return new Promise((resolve) => {
    const field = make("input", { className: "field", type: "password", name: "token", required: true, autocomplete: "current-password", id: "token" });
    const said = make("p", { className: "sign-in__problem", role: "alert", textContent: problem });
    const whole = make(
      "form",
      {},
      make("h1", { textContent: "A token is needed" }),
      make("p", { textContent: "This bus shows its events to those who have a token with the scope read. Whoever runs it makes one: xmppbus token add NAME read:#" }),
      make("label", { htmlFor: "token", textContent: "Token" }),
      field,
      said,
      make("button", { className: "button button--first", type: "submit", textContent: "Show the events" }),
    );
    const cover = make("main", { className: "sign-in" }, whole);
    whole.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.textContent = "";
      try {
        await signIn(field.value.trim());
      } catch (refusal) {
        said.textContent = refusal.message;
        field.select();
        return;
      }
      for (const each of covered) each.inert = false;
      cover.remove();
      resolve();
    });
    const covered = [...document.body.children].filter((each) => each.localName !== "script");
    for (const each of covered) each.inert = true;
    document.body.append(cover);
    field.focus();
  });
}
