// Pictures of coming fields, fetched and decoded before they are needed, a few at a time and in order.

const LANES = 2; // the server cuts two at a time; more would only keep saves waiting
const WAITS = [400, 1000, 2500, 5000];

export class Pictures {
  #queue = [];
  #loading = 0;

  /** Begins to fetch the picture of an entry {field}; sets `image` and `ready`, a promise that never fails. */
  want(entry, first = false) {
    if (entry.ready) return;
    Object.assign(entry, { loaded: false, failing: false, dropped: false });
    entry.ready = new Promise((resolve) => {
      const job = { entry, resolve };
      if (first) this.#queue.unshift(job);
      else this.#queue.push(job);
    });
    this.#next();
  }

  /** Moves an entry to the front. */
  hurry(entry) {
    const at = this.#queue.findIndex((job) => job.entry === entry);
    if (at > 0) this.#queue.unshift(...this.#queue.splice(at, 1));
  }

  /** Forgets pictures that nobody waits for any more. */
  forget(entries) {
    for (const entry of entries) entry.dropped = true;
    this.#queue = this.#queue.filter((job) => !job.entry.dropped);
  }

  async #next() {
    if (this.#loading >= LANES || !this.#queue.length) return;
    this.#loading += 1;
    const { entry, resolve } = this.#queue.shift();
    await this.#load(entry);
    this.#loading -= 1;
    resolve();
    this.#next();
  }

  async #load(entry) {
    const { picture, picture_width: width, picture_height: height, field, source, page } = entry.field;
    for (let tries = 0; !entry.dropped; tries += 1) {
      const image = new Image(width, height);
      image.alt = `Field ${field} of ${source}, page ${page}, as it was scanned`;
      image.draggable = false;
      image.src = picture;
      try {
        await image.decode();
        entry.image = image;
        Object.assign(entry, { loaded: true, failing: false });
        return;
      } catch {
        entry.failing = tries >= 2;
        await new Promise((resolve) => setTimeout(resolve, WAITS[Math.min(tries, WAITS.length - 1)]));
      }
    }
  }
}
