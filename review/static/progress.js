// How much is done, how much is left, how fast it goes.

import { call } from "./api.js";

const PAUSE = 60_000; // milliseconds; of a longer break only so much counts as work
const RECENT = 60; // answers that the speed is taken from
const ENOUGH = 5;

export class Progress {
  sitting = 0;
  #times = [];
  #server = null;
  #pending = 0;

  answered(now = Date.now()) {
    this.sitting += 1;
    this.#pending += 1;
    this.#times.push(now);
    if (this.#times.length > RECENT) this.#times.shift();
  }

  undone() {
    this.sitting = Math.max(0, this.sitting - 1);
    this.#pending -= 1;
    this.#times.pop();
  }

  /** Answers an hour over the last ones, or null while there are too few. */
  get speed() {
    if (this.#times.length < ENOUGH) return null;
    const gaps = this.#times.slice(1).map((time, at) => Math.min(PAUSE, time - this.#times[at]));
    const spent = gaps.reduce((sum, gap) => sum + gap, 0);
    return spent > 0 ? Math.round((gaps.length / spent) * 3_600_000) : null;
  }

  /** {left, review} or null before the server has told. */
  get state() {
    if (!this.#server) return null;
    const { remaining, review } = this.#server;
    return { left: Math.max(0, remaining - this.#pending), review };
  }

  /** Asks the server; `unsaved` are the answers that it cannot know yet. */
  async refresh(verifier, unsaved) {
    const answer = await call("GET", `/api/progress?verifier=${encodeURIComponent(verifier)}`);
    this.#server = answer;
    this.#pending = unsaved();
  }
}
