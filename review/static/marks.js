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

  /** Keeps {verdict, label} of a character {id, label, run}, with the reading that it was said of. */
  set(item, mark) {
    this.#marks.set(item.id, { ...mark, read_label: item.label, run: item.run });
    this.#keep();
  }

  forget(id) {
    this.#marks.delete(id);
    this.#keep();
  }

  /**
   * Sends all; items {id, mark} on the screen are told what stands of them now. Gives counts: {saved, returned} of
   * marks and of fields that went back, {lost, changed} of marks that were dropped, as their characters are gone or
   * were read anew.
   */
  async send(verifier, items) {
    const counts = { saved: 0, returned: 0, lost: 0, changed: 0 };
    while (this.#marks.size) {
      const some = [...this.#marks].slice(0, AT_ONCE);
      const marks = some.map(([id, mark]) => ({ id, ...mark }));
      const answer = await call("POST", "/api/characters/marks", { verifier, marks });
      const dropped = new Set([...answer.lost, ...answer.changed]);
      for (const [id, mark] of some) {
        if (this.#marks.get(id) === mark) this.#marks.delete(id); // else it was changed meanwhile
        if (dropped.has(id)) continue;
        const item = items.find((other) => other.id === id);
        if (item) item.mark = mark;
      }
      counts.saved += answer.saved;
      for (const name of ["returned", "lost", "changed"]) counts[name] += answer[name].length;
      this.sent = true;
      this.#keep();
    }
    return counts;
  }

  #keep() {
    save(KEY, Object.fromEntries(this.#marks));
    this.#changed();
  }
}
