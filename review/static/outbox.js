// Answers on their way to the server. Each is in localStorage from the moment it was given until the server has
// it on its disk: a server that dies, a page that is closed, a browser that crashes lose none of them.

import { call } from "./api.js";
import { DESK, drop, keysOf, load, save } from "./storage.js";

const LANES = 3; // requests at a time; the browser allows six, pictures need some
const WAITS = [500, 1000, 2000, 4000, 8000]; // milliseconds until the next try
const WAITING = `formscribe.outbox.${DESK}.`;
const REFUSED = `formscribe.refused.${DESK}.`;

export class Outbox extends EventTarget {
  #items = new Map(); // by key, in the order given
  #flying = new Set(); // ids of fields with a request under way
  #failures = 0;
  #timer = null;
  #counter = 0;
  #problem = null;

  constructor() {
    super();
    for (const key of keysOf(WAITING)) {
      const item = load(key);
      if (item?.id) this.#items.set(key, item);
      else drop(key);
    }
    addEventListener("online", () => this.kick());
  }

  get size() {
    return this.#items.size;
  }

  /** Why nothing can be sent at the moment, or null. */
  get problem() {
    return this.#problem;
  }

  /** Ids of the fields whose answers are on their way. */
  get ids() {
    return new Set([...this.#items.values()].map((item) => item.id));
  }

  /** Keeps an answer, or the undoing of one, and sends it: {op, id, verifier, verdict, text, field, source, page}. */
  add(item) {
    const key = this.#newKey(WAITING);
    const stored = { ...item, at: Date.now() };
    this.#items.set(key, stored);
    save(key, stored);
    this.#changed();
    this.#pump();
  }

  /** Takes back an answer that has not left yet; false if it has. */
  cancel(id) {
    if (this.#flying.has(id)) return false;
    const mine = [...this.#items].filter(([, item]) => item.id === id);
    const last = mine.at(-1);
    if (!last || last[1].op !== "answer" || last[1].tried) return false;
    this.#forget(last[0]);
    this.#changed();
    return true;
  }

  /** Tries at once. */
  kick() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#failures = 0;
    this.#pump();
  }

  /** What the server did not take: [{key, item, reason}]. */
  get refused() {
    return keysOf(REFUSED)
      .map((key) => ({ key, ...load(key) }))
      .filter((entry) => entry.item);
  }

  /** Lets a refused answer go, or sends it once more. */
  settle(key, again) {
    const entry = load(key);
    drop(key);
    if (again && entry) {
      this.dispatchEvent(new CustomEvent("again", { detail: entry.item }));
      this.add({ ...entry.item, tried: false });
    } else this.#changed();
  }

  #newKey(prefix) {
    this.#counter += 1;
    return `${prefix}${String(Date.now()).padStart(15, "0")}-${String(this.#counter).padStart(6, "0")}`;
  }

  #pump() {
    if (this.#timer !== null) return;
    const asked = new Set(this.#flying);
    for (const [key, item] of this.#items) {
      if (this.#flying.size >= LANES) return;
      if (asked.has(item.id)) continue; // the earlier word about a field goes first
      asked.add(item.id);
      this.#send(key, item);
      if (this.#failures) return; // one knocks at the door of a server that was away
    }
  }

  async #send(key, item) {
    this.#flying.add(item.id);
    if (!item.tried) {
      item.tried = true;
      save(key, item);
    }
    try {
      const answer = await this.#request(item);
      this.#failures = 0;
      this.#problem = null;
      this.#forget(key);
      this.dispatchEvent(new CustomEvent("saved", { detail: { item, answer } }));
    } catch (problem) {
      if (problem.passing || problem.status === 403) this.#retryLater(problem);
      else this.#refuse(key, item, problem);
    }
    this.#flying.delete(item.id);
    this.#changed();
    this.#pump();
  }

  async #request(item) {
    const path = `/api/fields/${encodeURIComponent(item.id)}`;
    if (item.op === "undo") {
      try {
        const { verifier, verdict, text } = item;
        const answer = { verifier, verdict, text: verdict === "text" ? text : null };
        return await call("DELETE", `${path}/verdict`, { verifier, answer });
      } catch (problem) {
        if (problem.code === "nothing_to_undo") return null; // an earlier try has done it
        throw problem;
      }
    }
    const { verifier, verdict, text } = item;
    return call("PUT", path, { verifier, verdict, text: verdict === "text" ? text : "" });
  }

  #retryLater(problem) {
    this.#problem = problem;
    const wait = WAITS[Math.min(this.#failures, WAITS.length - 1)];
    this.#failures += 1;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#pump();
    }, wait);
  }

  #refuse(key, item, problem) {
    this.#problem = null;
    save(this.#newKey(REFUSED), { item, reason: problem.message });
    this.#forget(key);
    const later = [...this.#items].find(([, other]) => other.id === item.id);
    if (item.op === "answer" && later?.[1].op === "undo") this.#forget(later[0]); // there is nothing to take back
    this.dispatchEvent(new CustomEvent("refused", { detail: { item, problem } }));
  }

  #forget(key) {
    this.#items.delete(key);
    drop(key);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
