/**
 * Who is at the page. Data needs a token where the listener has tokens; the browser keeps it in a cookie that no
 * script can read (POST /v1/session). A screen without a keyboard gets it in the address: /#token=..., which no server
 * ever sees and which is taken out at once.
 */

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

/** The session, once somebody is in: by the token in the address, or by the form. Waits while the house is away. */
export async function present() {
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
    const found = await patiently(session);
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

async function patiently(ask) {
  for (let seconds = 0.5; ; seconds = Math.min(10, seconds * 2)) {
    try {
      return await ask();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
}

/** Shows the form over the page, until a token was taken. */
function form(problem) {
  return new Promise((resolve) => {
    const field = element("input", { className: "field", type: "password", name: "token", required: true, autocomplete: "current-password", id: "token" });
    const said = element("p", { className: "sign-in__problem", textContent: problem });
    said.setAttribute("role", "alert");
    const whole = element("form", {}, [
      element("h1", { textContent: "A token is needed" }),
      element("p", { textContent: "This bus shows its events to those who have a token with the scope read. Whoever runs it makes one: xmppbus token add NAME read:#" }),
      element("label", { htmlFor: "token", textContent: "Token" }),
      field,
      said,
      element("button", { className: "button button--first", type: "submit", textContent: "Show the events" }),
    ]);
    const cover = element("main", { className: "sign-in" }, [whole]);
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

function element(name, properties, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
