// All characters that were read as one, the least sure first: the wrong ones are marked and sent.

import { call } from "./api.js";
import { baseName, byId, element, percent, plural, setText } from "./dom.js";
import { Marks } from "./marks.js";
import { askVerifier, showVerifier, verifierName } from "./verifier.js";

const PAGE = 200;
const CONTEXT = 150; // milliseconds that a tile is active before its field is fetched

class Grid {
  #marks = new Marks(() => this.#drawMarks());
  #items = [];
  #active = 0;
  #label = "";
  #offset = 0;
  #total = 0;
  #round = 0;
  #timer = null;
  #tiles = byId("tiles");

  async start() {
    showVerifier(() => {});
    if (!verifierName()) await askVerifier();
    this.#listen();
    const asked = new URLSearchParams(location.search);
    this.#label = asked.get("label") ?? "";
    this.#offset = Math.max(0, Math.floor(Number(asked.get("offset")) || 0));
    await this.#loadLabels();
    if (this.#label) await this.#load();
    this.#tiles.focus({ preventScroll: true });
  }

  async #loadLabels() {
    try {
      const labels = await call("GET", "/api/labels");
      const order = [...labels].sort((one, other) => (one.label < other.label ? -1 : 1));
      byId("label").replaceChildren(
        ...order.map(({ label, count }) =>
          element("option", { value: label, text: `${label}  ·  ${count.toLocaleString("en")}` }),
        ),
      );
      if (!labels.some(({ label }) => label === this.#label)) this.#label = labels[0]?.label ?? "";
      byId("label").value = this.#label;
      if (!labels.length) this.#tell("No character has been read yet.");
    } catch (problem) {
      this.#tell(problem.message, () => this.#loadLabels().then(() => this.#load()));
    }
  }

  async #load() {
    const round = ++this.#round;
    const query = new URLSearchParams({ label: this.#label, limit: PAGE, offset: this.#offset });
    this.#tiles.setAttribute("aria-busy", "true");
    try {
      const answer = await call("GET", `/api/characters?${query}`);
      if (round !== this.#round) return;
      this.#items = answer.characters;
      this.#total = answer.total;
    } catch (problem) {
      if (round === this.#round) this.#tell(problem.message, () => this.#load());
      return;
    }
    this.#tell("");
    this.#tiles.removeAttribute("aria-busy");
    history.replaceState(null, "", `?${new URLSearchParams({ label: this.#label, offset: this.#offset })}`);
    this.#active = 0;
    this.#tiles.replaceChildren(...this.#items.map((item, at) => this.#tile(item, at)));
    const last = Math.min(this.#offset + PAGE, this.#total);
    setText(byId("range"), this.#total ? `${this.#offset + 1}–${last} of ${this.#total.toLocaleString("en")}` : "none");
    byId("back").disabled = this.#offset === 0;
    byId("forth").disabled = last >= this.#total;
    scrollTo(0, 0);
    this.#drawMarks();
    this.#activate(0);
  }

  #tile(item, at) {
    const image = element("img", { alt: "", loading: "lazy", draggable: "false", src: item.picture });
    return element(
      "div",
      { class: "tile", role: "option", id: `tile-${at}`, data: { at } },
      image,
      element("span", { class: "share", text: percent(item.confidence) }),
    );
  }

  #drawMarks() {
    let [wrong, named] = [0, 0];
    this.#items.forEach((item, at) => {
      const tile = this.#tiles.children[at];
      if (!tile) return;
      const mark = this.#marks.of(item);
      const bad = mark !== null && mark.verdict !== "right";
      tile.classList.toggle("wrong", bad);
      tile.classList.toggle("right", mark?.verdict === "right");
      tile.classList.toggle("sent", mark !== null && !this.#marks.has(item.id));
      tile.setAttribute("aria-selected", String(bad));
      tile.setAttribute("aria-label", `${item.label}, ${percent(item.confidence)} sure${spoken(mark)}`);
      tile.querySelector(".said")?.remove();
      if (mark) tile.append(element("span", { class: "said", text: sign(mark) }));
      if (bad && mark.verdict === "label") named += 1;
      else if (bad) wrong += 1;
    });
    const count = this.#marks.size;
    const parts = [wrong && `${wrong} wrong`, named && `${named} with another name`].filter(Boolean);
    setText(
      byId("tally"),
      parts.length ? `On this page: ${parts.join(", ")}.` : "On this page nothing is marked as wrong.",
    );
    byId("send").disabled = !count;
    byId("send").firstChild.textContent = count ? `Send ${count} ` : "Send ";
    const pill = byId("saves");
    pill.dataset.state = count ? "waiting" : "idle";
    setText(pill, count ? `${plural(count, "mark")} not sent` : this.#marks.sent ? "✓ All sent" : "Nothing to send");
  }

  #activate(at, scroll = true) {
    if (!this.#items.length) return void (byId("detail").hidden = true);
    this.#tiles.children[this.#active]?.classList.remove("active");
    this.#active = Math.max(0, Math.min(this.#items.length - 1, at));
    const tile = this.#tiles.children[this.#active];
    tile.classList.add("active");
    this.#tiles.setAttribute("aria-activedescendant", tile.id);
    if (scroll) tile.scrollIntoView({ block: "nearest" });
    this.#detail();
  }

  #detail() {
    const item = this.#items[this.#active];
    byId("detail").hidden = false;
    byId("detail-crop").src = item.picture;
    const mark = this.#marks.of(item);
    setText(byId("detail-said"), mark?.verdict === "label" ? mark.label : item.label);
    setText(byId("detail-about"), `${percent(item.confidence)} sure, character ${item.position + 1} of ${item.field}`);
    setText(byId("detail-place"), `${baseName(item.source)}, page ${item.page}`);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      byId("detail-field").src = `/pictures/fields/${encodeURIComponent(item.field_id)}.png`;
    }, CONTEXT);
  }

  /** Wrong, and back. */
  #toggle() {
    const item = this.#items[this.#active];
    const mark = this.#marks.of(item);
    const bad = mark !== null && mark.verdict !== "right";
    if (!bad) this.#marks.set(item, { verdict: "wrong", label: null });
    else if (item.mark && item.mark.verdict !== "right") this.#marks.set(item, { verdict: "right", label: null });
    else this.#marks.forget(item.id);
    this.#after();
  }

  #name(label) {
    const item = this.#items[this.#active];
    this.#marks.set(item, label === item.label ? { verdict: "right", label: null } : { verdict: "label", label });
    this.#after();
  }

  #after() {
    this.#detail();
    setText(byId("voice"), this.#tiles.children[this.#active].getAttribute("aria-label"));
  }

  async #send(restIsRight) {
    if (restIsRight) {
      for (const item of this.#items)
        if (!this.#marks.of(item)) this.#marks.set(item, { verdict: "right", label: null });
    }
    if (!this.#marks.size) return;
    try {
      const { saved, returned, lost, changed } = await this.#marks.send(verifierName(), this.#items);
      const back = returned ? ` ${plural(returned, "field")} went back to the desk.` : "";
      setText(byId("voice"), `${plural(saved, "mark")} saved.${back}`);
      this.#tellDropped(lost, changed);
      setText(byId("tally"), `${plural(saved, "mark")} saved.${back}`);
      if (restIsRight && !(lost + changed) && !byId("forth").disabled) this.#turn(1);
    } catch (problem) {
      this.#tell(`${problem.message} The marks are kept in this browser.`, () => this.#send(false));
    }
  }

  #tellDropped(lost, changed) {
    const told = [
      lost && `${plural(lost, "mark")} dropped: no run has read these characters any more.`,
      changed && `${plural(changed, "mark")} dropped: these characters were read anew since they were shown.`,
    ].filter(Boolean);
    this.#tell(told.join(" "), told.length ? () => this.#load() : null, "Show them anew");
  }

  #turn(direction) {
    const offset = this.#offset + direction * PAGE;
    if (offset < 0 || offset >= this.#total) return;
    this.#offset = offset;
    this.#load();
  }

  #tell(text, again, name = "Try again") {
    const banner = byId("banner");
    banner.hidden = !text;
    banner.replaceChildren(element("span", { text }));
    if (!again) return;
    const button = element("button", { type: "button", text: name });
    button.addEventListener("click", again);
    banner.append(button);
  }

  #listen() {
    byId("label").addEventListener("change", () => {
      this.#label = byId("label").value;
      this.#offset = 0;
      this.#load().then(() => this.#tiles.focus({ preventScroll: true }));
    });
    byId("back").addEventListener("click", () => this.#turn(-1));
    byId("forth").addEventListener("click", () => this.#turn(1));
    byId("send").addEventListener("click", () => this.#send(false));
    byId("send-all").addEventListener("click", () => this.#send(true));
    byId("saves").addEventListener("click", () => this.#send(false));
    this.#tiles.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (!tile) return;
      this.#activate(Number(tile.dataset.at), false);
      this.#toggle();
    });
    document.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("beforeunload", (event) => this.#marks.size && event.preventDefault());
  }

  #key(event) {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    if (event.key === "F6") {
      event.preventDefault();
      return void byId("label").focus();
    }
    const control = event.target.closest("button, a, select, input");
    if (control || event.ctrlKey || event.metaKey || event.altKey || !this.#items.length) return;
    const columns = getComputedStyle(this.#tiles).gridTemplateColumns.split(" ").length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const deeds = {
      Home: () => this.#activate(0),
      End: () => this.#activate(this.#items.length - 1),
      PageUp: () => this.#turn(-1),
      PageDown: () => this.#turn(1),
      " ": () => this.#toggle(),
      Backspace: () => (this.#marks.forget(this.#items[this.#active].id), this.#after()),
      Delete: () => (this.#marks.forget(this.#items[this.#active].id), this.#after()),
      Enter: () => event.repeat || this.#send(event.shiftKey),
    };
    if (event.key in steps) this.#activate(this.#active + steps[event.key]);
    else if (event.key in deeds) deeds[event.key]();
    else if (event.key.length === 1) this.#name(event.key);
    else return;
    event.preventDefault();
  }
}

const sign = ({ verdict, label }) => ({ wrong: "✗", right: "✓" })[verdict] ?? label;

function spoken(mark) {
  if (!mark) return "";
  return mark.verdict === "label" ? `, marked as ${mark.label}` : `, marked ${mark.verdict}`;
}

new Grid().start();
