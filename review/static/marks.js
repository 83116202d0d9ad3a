// Marks of characters that are not sent yet; kept in localStorage until the server has them.

import { call } from "./api.js";
import { DESK, load, save } from "./storage.js";

const KEY = `formscribe.marks.${DESK}`;
const AT_ONCE = 500; // as many as the server takes

export class Marks {
  #marks;
  #changed;

  /** Whether any were sent by this page. */
  sent = false;

  constructor(changed) {
    this.#marks = new Map(Object.entries(load(KEY) ?? {}));
    this.#changed = changed;
  }

  get size() {
    return this.#marks.size;
  }

  has(id) {
    return this.#marks.has(id);
  }

  /** What stands of a character {id, mark}: {verdict, label}, or null. */
  of(item) {
    return this.#marks.get(item.id) ?? item.mark;
  }

  set(item, mark) {
    this.#marks.set(item.id, mark);
    this.#keep();
  }

  forget(id) {
    this.#marks.delete(id);
    this.#keep();
  }

  /**
   * Sends all; items {id, mark} on the screen are told what stands of them now. Gives {saved, returned, lost}, counts
   * of marks, of fields that went back, and of marks of characters that are gone, which are dropped.
   */
  async send(verifier, items) {
    let [saved, returned, lost] = [0, 0, 0];
    while (this.#marks.size) {
      const some = [...this.#marks].slice(0, AT_ONCE);
      const marks = some.map(([id, { verdict, label }]) => ({ id, verdict, label }));
      const answer = await call("POST", "/api/characters/marks", { verifier, marks });
      for (const [id, mark] of some) {
        if (this.#marks.get(id) === mark) this.#marks.delete(id); // else it was changed meanwhile
        if (answer.lost.includes(id)) continue;
        const item = items.find((other) => other.id === id);
        if (item) item.mark = mark;
      }
      saved += answer.saved;
      returned += answer.returned.length;
      lost += answer.lost.length;
      this.sent = true;
      this.#keep();
    }
    return { saved, returned, lost };
  }

  #keep() {
    save(KEY, Object.fromEntries(this.#marks));
    this.#changed();
  }
}
