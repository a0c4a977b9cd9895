/**
 * GET /v1/stream as server-sent events, for as long as the page lives.
 *
 * It is read with fetch and not with EventSource, which hides the status of an answer (401: a token is needed) and its
 * Retry-After, and gives up for good on some of them. After a break it goes on behind the last event that it has seen,
 * so nothing is missing and nothing comes twice; a break notices itself, for the house says something every 15 seconds.
 */

const FIRST_SECONDS = 0.5;
const MOST_SECONDS = 15;
const SILENCE_SECONDS = 40; // more than two keep-alives that did not come
const ANSWER_SECONDS = 12;

/** Why a stream is not open: what the house said, in its own words. */
export class Refused extends Error {
  constructor(status, message, seconds) {
    super(message);
    this.status = status;
    this.seconds = seconds;
  }
}

/** The refusal in an answer that is not a yes. */
export async function refusalOf(answer) {
  let said = {};
  try {
    said = (await answer.json()).error ?? {};
  } catch {
    // A proxy's page, say: the status tells enough.
  }
  const seconds = Number(answer.headers.get("Retry-After")) || said.retry_after || 0;
  return new Refused(answer.status, said.message ?? `${answer.status} ${answer.statusText}`, seconds);
}

/**
 * One stream. `query` are the parameters of /v1/stream, lists for those that repeat: {type: ["disk.#"], last: 500}.
 *
 * `on` may have:
 *   state(state, {reason, retryAt})   "connecting", "live", "waiting" (broken, tried again at retryAt), "stopped"
 *   hello(hello, {resumed})           first on every connection; resumed: it goes on behind what came before
 *   event({sequence, id, event})
 *   gap({after, until, reason})       reason "pruned", "slow", or "skipped" (see `most`): what is shown is out of date
 *   config({config})
 *   refused(refusal)                  401 or 403: it is stopped until start() is called again
 *
 * `most`: after a break in which more than so many events came, it does not read them all but the newest ones, as at
 * the start, and says so with a gap.
 */
export class Stream {
  constructor({ query = {}, on = {}, most = Infinity } = {}) {
    this.query = query;
    this.on = on;
    this.most = most;
    this.state = "stopped";
    this.last = null; // the sequence of the newest event that came
    this.run = null;
    this.attempts = 0;
    this.wake = null;
  }

  /** Open it, or open it anew with another query; then what came before is forgotten. */
  start(query = this.query) {
    this.stop();
    this.query = query;
    this.last = null;
    this.attempts = 0;
    this.run = new AbortController();
    this.#live(this.run.signal);
  }

  stop() {
    this.run?.abort();
    this.run = null;
    this.#say("stopped");
  }

  /** Try again at once, where it waits. */
  retry() {
    this.wake?.();
  }

  async #live(signal) {
    while (!signal.aborted) {
      let refusal;
      try {
        this.#say("connecting");
        await this.#connection(signal);
        refusal = new Refused(0, "the connection has ended", 0);
      } catch (error) {
        refusal = error instanceof Refused ? error : new Refused(0, "the house does not answer", 0);
      }
      if (signal.aborted) return;
      if (refusal.status === 401 || refusal.status === 403 || refusal.status === 400) {
        this.run = null;
        this.#say("stopped", { reason: refusal.message });
        this.on.refused?.(refusal);
        return;
      }
      if (refusal.status === 205) continue; // skipped ahead: at once
      const ceiling = Math.min(MOST_SECONDS, FIRST_SECONDS * 2 ** this.attempts);
      this.attempts += 1;
      const seconds = Math.max(refusal.seconds, ceiling * (0.5 + Math.random() / 2));
      this.#say("waiting", { reason: refusal.message, retryAt: Date.now() + seconds * 1000 });
      await this.#wait(seconds, signal);
    }
  }

  #wait(seconds, signal) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        removeEventListener("online", done);
        signal.removeEventListener("abort", done);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      this.wake = done;
      addEventListener("online", done);
      signal.addEventListener("abort", done);
    });
  }

  async #connection(outer) {
    const own = new AbortController();
    const end = () => own.abort();
    outer.addEventListener("abort", end);
    let timer = setTimeout(end, ANSWER_SECONDS * 1000);
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(end, SILENCE_SECONDS * 1000);
    };
    try {
      const resumed = this.last !== null;
      const headers = { Accept: "text/event-stream" };
      if (resumed) headers["Last-Event-ID"] = String(this.last);
      const answer = await fetch(address(this.query, resumed), { headers, signal: own.signal, cache: "no-store" });
      if (!answer.ok) throw await refusalOf(answer);
      heard();
      await this.#read(answer.body, resumed, heard, outer);
    } finally {
      clearTimeout(timer);
      outer.removeEventListener("abort", end);
      own.abort();
    }
  }

  async #read(body, resumed, heard, signal) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new Parser((name, data) => this.#message(name, JSON.parse(data), resumed));
    for (;;) {
      const { value, done } = await reader.read();
      if (done || signal.aborted) return;
      heard();
      parser.push(value);
    }
  }

  #message(name, message, resumed) {
    if (name === "event") {
      this.last = message.sequence;
      this.on.event?.(message);
    } else if (name === "hello") {
      this.#hello(message, resumed);
    } else if (name === "gap") {
      this.last = Math.max(this.last ?? 0, message.reason === "pruned" ? message.until : 0) || this.last;
      this.on.gap?.(message);
    } else if (name === "config") {
      this.on.config?.(message);
    }
  }

  #hello(hello, resumed) {
    this.attempts = 0;
    const missed = hello.newest - this.last; // less than none: another journal, where our sequences mean nothing
    if (resumed && (missed > this.most || missed < 0)) {
      this.on.gap?.({ after: this.last, until: hello.newest, reason: "skipped" });
      this.last = null;
      throw new Refused(205, "too much came meanwhile", 0);
    }
    // Without a single event there would be nothing to go on from after a break.
    if (this.last === null && !this.query.last && !this.query.since) this.last = hello.newest;
    this.#say("live");
    this.on.hello?.(hello, { resumed });
  }

  #say(state, more = {}) {
    if (state === this.state && state !== "waiting") return;
    this.state = state;
    this.on.state?.(state, more);
  }
}

/** The address of a stream; one that goes on from an event does not ask for earlier ones too. */
function address(query, resumed) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (resumed && (name === "last" || name === "since")) continue;
    for (const each of Array.isArray(value) ? value : [value]) found.append(name, each);
  }
  return `/v1/stream${found.size ? `?${found}` : ""}`;
}

/** Server-sent events (HTML §9.2.6) from pieces of text, however they are cut. */
export class Parser {
  constructor(message) {
    this.message = message;
    this.rest = "";
    this.name = "";
    this.data = [];
  }

  push(text) {
    const lines = (this.rest + text).split("\n"); // the house ends its lines with this alone
    this.rest = lines.pop();
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    if (line === "") {
      if (this.data.length) this.message(this.name || "message", this.data.join("\n"));
      this.name = "";
      this.data = [];
    } else if (line.startsWith("data:")) {
      this.data.push(line.slice(line[5] === " " ? 6 : 5));
    } else if (line.startsWith("event:")) {
      this.name = line.slice(6).trim();
    }
  }
}
