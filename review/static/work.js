// The fields at hand: leased in batches before they are needed, renewed while somebody works, given back after.

import { call } from "./api.js";
import { Pictures } from "./pictures.js";

const HELD = 24; // fields at hand
const LOW = 14; // below this more are fetched
const FEW_LEFT = 150; // then hands stay small, so that others have some too
const HELD_AT_END = 8;
const RENEW = 60_000; // milliseconds; a lease lasts five minutes
const IDLE = 15 * 60_000; // then leases may end: others can have the fields
const LOOK_AGAIN = 4000;

export class Work extends EventTarget {
  current = null;
  waiting = [];
  kinds = [];
  remaining = 0;
  kind = "";
  problem = null;
  asked = false;
  #pictures = new Pictures();
  #outbox;
  #verifier = "";
  #filling = false;
  #round = 0;
  #timer = null;
  #lastTouch = Date.now();
  #renewed = Date.now();

  constructor(outbox) {
    super();
    this.#outbox = outbox;
    setInterval(() => this.#renew(), RENEW / 4);
    document.addEventListener("visibilitychange", () => this.#renew());
  }

  /** Begins for a verifier and a kind ("" for any); what was held for another is given back. */
  begin(verifier, kind) {
    this.giveBack();
    Object.assign(this, { kind, asked: false, problem: null });
    this.#verifier = verifier;
    this.#round += 1;
    this.#filling = false;
    this.fill();
  }

  /** The next field becomes the current one; null if there is none at hand. */
  next() {
    this.current = this.waiting.shift() ?? null;
    if (this.current) this.#pictures.hurry(this.current);
    this.fill();
    return this.current;
  }

  /** Puts an entry {field} before all others, as undoing does; it comes with what to show in the line. */
  putFirst(entry, draft) {
    const id = entry.field.id;
    const shown = this.current;
    this.waiting = this.waiting.filter((other) => other.field.id !== id);
    if (shown && shown.field.id !== id) this.waiting.unshift(shown);
    if (!entry.loaded) entry.ready = null;
    this.#pictures.want(entry, true);
    entry.draft = draft;
    this.current = entry;
    return entry;
  }

  /** Drops a field that is no longer ours; true if it was the current one. */
  lose(id) {
    this.waiting = this.waiting.filter((entry) => entry.field.id !== id);
    const hit = this.current?.field.id === id;
    if (hit) this.current = null;
    return hit;
  }

  /** Somebody is here: leases go on. */
  touch() {
    const away = Date.now() - this.#lastTouch > IDLE;
    this.#lastTouch = Date.now();
    if (away) this.#renew(true);
  }

  /** Looks which of the fields at hand are still ours. */
  check() {
    this.#renew(true);
  }

  /** Gives back what is not answered, also while the page is being closed. */
  giveBack() {
    const entries = [this.current, ...this.waiting].filter(Boolean);
    this.#pictures.forget(entries);
    Object.assign(this, { current: null, waiting: [] });
    clearTimeout(this.#timer);
    const ids = entries.map((entry) => entry.field.id);
    if (ids.length && this.#verifier) {
      call("POST", "/api/release", { verifier: this.#verifier, ids }, { keepalive: true }).catch(() => {});
    }
  }

  /** Stops asking, as another tab does the work. */
  stop() {
    this.giveBack();
    this.#verifier = "";
    this.#round += 1;
  }

  /** Fetches more fields if few are at hand. */
  async fill() {
    const hold = this.asked && this.remaining < FEW_LEFT ? HELD_AT_END : HELD;
    const low = Math.min(LOW, hold - 2);
    if (this.#filling || !this.#verifier || this.waiting.length >= low) return;
    this.#filling = true;
    const round = this.#round;
    let got = [];
    try {
      got = await this.#lease(hold - this.waiting.length);
      if (round !== this.#round) return;
      this.problem = null;
    } catch (problem) {
      if (round !== this.#round) return;
      this.problem = problem;
    }
    this.#filling = false;
    if (!got.length) this.#lookAgain();
    this.dispatchEvent(new Event("change"));
  }

  #lookAgain() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.fill(), LOOK_AGAIN);
  }

  async #lease(count) {
    const round = this.#round;
    const held = this.#ids();
    const answer = await call("POST", "/api/lease", {
      verifier: this.#verifier,
      count,
      kind: this.kind || null,
      held: held.slice(0, 200),
    });
    if (round !== this.#round) {
      const ids = answer.fields.map((field) => field.id);
      if (ids.length) call("POST", "/api/release", { verifier: this.#verifier, ids }).catch(() => {});
      return [];
    }
    this.#renewed = Date.now();
    this.asked = true;
    this.remaining = answer.remaining;
    this.kinds = answer.kinds;
    // Answered since: the server knows, or will; neither is it lost nor is it new.
    const known = new Set([...this.#ids(), ...held]);
    const fresh = answer.fields.filter((field) => !known.has(field.id)).map((field) => ({ field }));
    for (const entry of fresh) this.#pictures.want(entry);
    this.waiting.push(...fresh);
    for (const id of answer.lost ?? []) {
      if (!this.#outbox.ids.has(id)) this.dispatchEvent(new CustomEvent("lost", { detail: id }));
    }
    return fresh;
  }

  #ids() {
    const shown = [this.current, ...this.waiting].filter(Boolean).map((entry) => entry.field.id);
    return [...new Set([...shown, ...this.#outbox.ids])];
  }

  #renew(now = false) {
    const due = Date.now() - this.#renewed > RENEW && Date.now() - this.#lastTouch < IDLE;
    if (!this.#verifier || !(now || due) || (!this.current && !this.waiting.length)) return;
    this.#renewed = Date.now();
    this.#lease(0)
      .then(() => this.dispatchEvent(new Event("change")))
      .catch(() => {});
  }
}
