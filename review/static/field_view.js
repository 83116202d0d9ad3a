// Everything on the screen that belongs to one field: its picture, the line, the other readings, the hint.

import { baseName, byId, element, percent, setText } from "./dom.js";
import { otherKey } from "./keys.js";
import { Line } from "./line.js";
import { inWords } from "./notices.js";
import { aboutCharacter, charsetOf, differences, doubtOf, places } from "./reading.js";
import { Stage } from "./stage.js";

const TOUCH = matchMedia("(hover: none) and (pointer: coarse)");

export class FieldView {
  #stage = new Stage(byId("stage"));
  #entry = null;
  #act;
  #followed = null;

  /** `act` is called as act("other", number) when a reading is clicked. */
  constructor(act) {
    this.#act = act;
    this.line = new Line(byId("answer"), byId("answer-long"), byId("line"), () => this.#follow());
  }

  /** What was typed for the current field, if anything. */
  get draft() {
    return this.#entry && this.line.edited ? this.line.value : undefined;
  }

  /** Shows an entry of the work, or nothing. */
  show(entry) {
    byId("work").hidden = !entry;
    this.#entry = entry;
    this.#followed = null;
    if (!entry) {
      delete byId("stage").dataset.field;
      return;
    }
    const { field } = entry;
    setText(byId("field-name"), field.field);
    const sure = field.confidence === null ? "" : `, ${percent(field.confidence)} sure`;
    setText(byId("field-about"), `${charsetOf(field).shown ?? field.charset}${sure}`);
    setText(byId("field-place"), `${baseName(field.source)}, page ${field.page}`);
    byId("field-place").title = field.source;
    this.#stage.show(entry);
    this.line.show(field, entry.draft);
    this.#showOthers(field);
    const doubtful = field.characters.filter((character) => doubtOf(character, field.characters));
    const told = doubtful.length ? `, doubtful: ${doubtful.map(({ label }) => label).join(" ")}` : "";
    setText(byId("voice"), `${field.field}: ${field.text || "nothing read"}${told}`);
    this.focus();
  }

  /** Puts the cursor into the line; a touch screen would cover half the page with its keyboard. */
  focus(always = false) {
    if (this.#entry && (always || !TOUCH.matches)) this.line.focus();
  }

  /** Says why nothing happened. */
  stop(text) {
    const hint = byId("hint");
    hint.classList.add("stop");
    setText(hint, text);
    setText(byId("voice"), text);
  }

  /** Puts the reading after or before into the line; false in a paragraph, where arrows move the cursor. */
  rotate(direction) {
    if (this.line.node.tagName === "TEXTAREA") return false;
    const texts = this.#texts();
    const at = texts.indexOf(this.line.value);
    this.line.set(texts[(at + direction + texts.length) % texts.length]);
    return true;
  }

  /** Shows the answer that undoing would take back. */
  showLast(answer) {
    byId("undo").disabled = !answer;
    const last = byId("last");
    if (!answer) last.replaceChildren();
    else last.replaceChildren("last: ", element("code", { text: inWords(answer) }), ` for ${answer.field}`);
  }

  #texts() {
    return [...new Set([this.#entry.field.text, ...this.#entry.field.runners_up.map(({ text }) => text)])];
  }

  #showOthers(field) {
    const list = byId("others");
    list.replaceChildren(
      ...field.runners_up.slice(0, 9).map(({ text, confidence }, at) => {
        const letters = differences(text, field.text).map(({ letter, differs }) =>
          differs ? element("b", { text: letter }) : letter,
        );
        const button = element(
          "button",
          { type: "button", data: { text } },
          element("kbd", { text: otherKey(field, at + 1) }),
          element("span", { class: "text" }, ...(letters.length ? letters : ["blank"])),
          element("span", { class: "share", text: percent(confidence) }),
        );
        button.addEventListener("click", () => this.#act("other", at + 1));
        return element("li", {}, button);
      }),
    );
    byId("others-title").hidden = !field.runners_up.length;
  }

  #follow() {
    if (!this.#entry) return;
    const { value, chosen, edited } = this.line;
    const now = `${this.#entry.field.id} ${chosen} ${value}`;
    if (now === this.#followed) return; // browsers tell of selections late, and twice
    this.#followed = now;
    this.#stage.follow(value, chosen);
    for (const button of byId("others").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(edited && button.dataset.text === value));
    }
    const hint = byId("hint");
    hint.classList.remove("stop");
    setText(hint, this.#hint(value, chosen, edited));
  }

  #hint(value, chosen, edited) {
    const { characters } = this.#entry.field;
    if (!value.trim()) return "Enter: blank, nothing is written there.";
    if (chosen !== null) {
      const found = places(value, characters).find(({ index }) => index === chosen);
      const known = found?.character && found.character.label === found.letter;
      return `${known ? `${aboutCharacter(found.character)}. ` : ""}Type what it should be.`;
    }
    if (edited) return "Enter keeps what stands here. Esc goes back to the reading.";
    return "Enter accepts the reading. Type to replace it, → to change one character.";
  }
}
