// The answers given lately, so that they can be undone, also after the page was loaded anew.

import { DESK, load, save } from "./storage.js";

const KEY = `formscribe.answers.${DESK}`;
const KEPT = 100;

export class Answers {
  #list = [];
  #entries = new Map(); // fields with their pictures, as far as this page has seen them

  constructor(verifier) {
    const kept = load(KEY);
    if (Array.isArray(kept)) this.#list = kept.filter((answer) => answer?.id && answer.verifier === verifier);
  }

  get last() {
    return this.#list.at(-1) ?? null;
  }

  /** Keeps an answer {id, verifier, verdict, text, field} and the entry it belongs to. */
  push(answer, entry) {
    this.#list.push(answer);
    if (entry) this.#entries.set(answer.id, entry);
    if (this.#list.length > KEPT) this.#entries.delete(this.#list.shift().id);
    save(KEY, this.#list);
  }

  /** Forgets an answer that the server did not take: it cannot be undone. */
  drop({ id, verifier, verdict, text }) {
    const same = (one) => one.id === id && one.verifier === verifier && one.verdict === verdict && one.text === text;
    const at = this.#list.findLastIndex(same);
    if (at < 0) return;
    this.#list.splice(at, 1);
    save(KEY, this.#list);
  }

  /** Takes the last answer off: [answer, entry or null]. */
  pop() {
    const answer = this.#list.pop();
    if (!answer) return [null, null];
    save(KEY, this.#list);
    return [answer, this.#entries.get(answer.id) ?? null];
  }
}
