// The line in which an answer stands: the reading at first, all of it chosen, so that typing replaces it.

import { charsetOf, doubtOf, isLong, places } from "./reading.js";

export class Line {
  #short;
  #long;
  #frame;
  #node;
  #field = null;
  #changed;

  /** `changed` is called whenever the text, or what is chosen of it, is another. */
  constructor(short, long, frame, changed) {
    this.#short = short;
    this.#long = long;
    this.#frame = frame;
    this.#node = short;
    this.#changed = changed;
    for (const node of [short, long]) node.addEventListener("input", () => this.#typed());
    document.addEventListener("selectionchange", () => this.#tell());
  }

  get value() {
    return this.#node.value;
  }

  get edited() {
    return this.#field !== null && this.#node.value !== this.#field.text;
  }

  get node() {
    return this.#node;
  }

  /** Where in the text the one chosen letter begins, or null. */
  get chosen() {
    const { selectionStart: start, selectionEnd: end, value } = this.#node;
    if (document.activeElement !== this.#node || (start === 0 && end === value.length)) return null;
    return this.#letters().some(([from, to]) => from === start && to === end) ? start : null;
  }

  /** Shows a field, or what was typed for it before. */
  show(field, draft) {
    this.#field = field;
    const long = isLong(field);
    this.#node = long ? this.#long : this.#short;
    this.#short.hidden = long;
    this.#long.hidden = !long;
    this.#node.inputMode = charsetOf(field).numeric ? "numeric" : "text";
    this.set(draft ?? field.text);
  }

  focus() {
    this.#node.focus({ preventScroll: true });
  }

  /** Puts a text into the line and chooses all of it; of a paragraph the first doubtful letter. */
  set(text) {
    this.#node.value = text;
    this.#node.setSelectionRange(0, isLong(this.#field) ? 0 : text.length);
    if (isLong(this.#field)) {
      const at = this.#doubtful().find(Boolean);
      if (at) this.#node.setSelectionRange(...at);
    }
    this.#tell();
  }

  reset() {
    if (this.#field) this.set(this.#field.text);
  }

  /** Chooses the letter beside, or the next doubtful one; false where the browser should do what it does. */
  step(direction, doubtful) {
    if (document.activeElement !== this.#node || (isLong(this.#field) && !doubtful)) return false;
    const letters = this.#letters();
    const { selectionStart: start, selectionEnd: end, value } = this.#node;
    const all = start === 0 && end === value.length && letters.length > 1;
    const candidatePlaces = doubtful || (all && direction > 0) ? this.#doubtful() : letters;
    const candidates = candidatePlaces.filter(Boolean);
    let to;
    if (direction > 0) to = candidates.find(([from]) => all || from >= end) ?? (all ? letters[0] : null);
    else to = all ? candidates.at(-1) : candidates.findLast(([, until]) => until <= start);
    if (to) this.#node.setSelectionRange(...to);
    else if (!doubtful) this.#node.setSelectionRange(...(direction > 0 ? [value.length, value.length] : [0, 0]));
    this.#tell();
    return true;
  }

  #letters() {
    const found = [];
    let from = 0;
    for (const letter of this.#node.value) {
      found.push([from, from + letter.length]);
      from += letter.length;
    }
    return found;
  }

  /** The places of the doubtful letters, as far as the text still goes with the characters that were read. */
  #doubtful() {
    const { characters } = this.#field;
    const found = places(this.#node.value, characters);
    if (found.length !== characters.length) return [];
    return found
      .filter(({ letter, character }) => character.label === letter && doubtOf(character, characters))
      .map(({ letter, index }) => [index, index + letter.length]);
  }

  #typed() {
    const change = this.#field && charsetOf(this.#field).change;
    if (change) {
      const { selectionStart: start, selectionEnd: end, value } = this.#node;
      const changed = change(value);
      if (changed !== value && changed.length === value.length) {
        this.#node.value = changed;
        this.#node.setSelectionRange(start, end);
      }
    }
    this.#tell();
  }

  #tell() {
    if (!this.#field) return;
    this.#frame.dataset.edited = String(this.edited);
    this.#changed();
  }
}
