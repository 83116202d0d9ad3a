// Sends a picture, and shows what was read. The file itself never becomes part of the page: what is shown of it is
// the picture that the server has decoded.

import { call, callForBlob } from "./api.js";
import { byId, element, percent, plural, setText } from "./dom.js";
import { drawPage, listFields } from "./overlay.js";

const PATIENCE = 300_000; // milliseconds; a file may have fifty pages
const MAX_BYTES = Number(document.documentElement.dataset.maxUpload) || Infinity;
const NO_ANSWER = "The server does not answer, or did not want so large a file.";

class Upload {
  #file = null;
  #stop = null;
  #addresses = [];
  #round = 0;

  async start() {
    setText(byId("limit"), `${Math.floor(MAX_BYTES / 1e6)} MB`);
    this.#listen();
    try {
      const { templates } = await call("GET", "/api/templates");
      byId("template").replaceChildren(
        ...templates.map(({ name, title }) =>
          element("option", { value: name, text: title ? `${name}: ${title}` : name }),
        ),
      );
      if (!templates.length) byId("form").elements.what.value = "character";
    } catch (problem) {
      this.#tell(`The forms cannot be listed: ${problem.message}`);
    }
  }

  async #take(file) {
    if (!file) return;
    this.#file = file;
    this.#clear();
    if (file.size > MAX_BYTES) {
      return this.#tell(
        `${file.name} has ${(file.size / 1e6).toFixed(1)} MB; at most ${Math.floor(MAX_BYTES / 1e6)} MB are taken.`,
      );
    }
    if (!file.size) return this.#tell(`${file.name} is empty.`);
    const round = ++this.#round;
    this.#stop = new AbortController();
    this.#busy(`Reading ${file.name} …`);
    try {
      if (byId("form").elements.what.value === "page") await this.#readPage(file, round);
      else await this.#readCharacter(file, round);
    } catch (problem) {
      if (round === this.#round && problem.code !== "stopped") this.#tell(`${file.name}: ${reasonOf(problem)}`);
    }
    if (round === this.#round) this.#busy("");
  }

  #send(path, file, more) {
    return call("POST", path, formOf(file, more), { signal: this.#stop.signal, patience: PATIENCE });
  }

  async #readCharacter(file, round) {
    const read = await this.#send("/api/predict", file, { charset: byId("charset").value });
    const address = await this.#picture(file, 1);
    if (round !== this.#round) return;
    const image = element("img", { src: address, alt: "The picture as the reader sees it" });
    const others = read.alternatives.map(({ label, confidence }) =>
      element("li", {}, element("code", { text: label }), ` ${percent(confidence)}`),
    );
    const told = element(
      "div",
      {},
      element("p", { class: "label", text: read.label || "–" }),
      element("p", { text: read.label ? `${percent(read.confidence)} sure` : "There is no ink on it." }),
    );
    if (read.not_a_character >= 0.5 && read.label)
      told.append(
        element("p", {
          class: "problem",
          text: `It does not look like a character (${percent(read.not_a_character)}).`,
        }),
      );
    if (others.length) told.append(element("p", { class: "soft", text: "or" }), element("ol", {}, ...others));
    byId("one").replaceChildren(image, told);
    byId("one").hidden = false;
    this.#done(file.name);
  }

  async #readPage(file, round) {
    const read = await this.#send("/api/read", file, { template: byId("template").value });
    if (round !== this.#round) return;
    const failures = read.failures.map(({ page, code, message }) =>
      element("li", {}, page === null ? "" : `Page ${page}: `, message, " ", element("code", { text: code })),
    );
    byId("failures").replaceChildren(...failures);
    byId("failures").hidden = !failures.length;
    const buttons = read.pages.map((page) => {
      const button = element("button", { type: "button", text: `Page ${page.page}` });
      button.addEventListener("click", () => this.#showPage(file, page, round, button));
      return button;
    });
    byId("pages").replaceChildren(...buttons);
    byId("pages").hidden = buttons.length < 2;
    this.#done(`${file.name}: ${read.pages.length ? plural(read.pages.length, "page") : "no page"} read`);
    if (read.pages.length) await this.#showPage(file, read.pages[0], round, buttons[0]);
  }

  async #showPage(file, page, round, button) {
    for (const other of byId("pages").children) other.removeAttribute("aria-current");
    button.setAttribute("aria-current", "page");
    const number = page.page;
    this.#shown = number;
    try {
      const address = await this.#picture(file, number);
      if (round !== this.#round || this.#shown !== number) return;
      const lit = drawPage(byId("overlay"), page, address);
      listFields(byId("fields"), page, lit);
      byId("page").hidden = false;
    } catch (problem) {
      if (round === this.#round && problem.code !== "stopped")
        this.#tell(`${file.name}, page ${number}: ${reasonOf(problem)}`);
    }
  }

  #shown = 0;

  async #picture(file, page) {
    const blob = await callForBlob("/api/picture", formOf(file, { page }), {
      signal: this.#stop.signal,
      patience: PATIENCE,
    });
    const address = URL.createObjectURL(blob);
    this.#addresses.push(address);
    return address;
  }

  #done(title) {
    setText(byId("result-title"), title);
    byId("result").hidden = false;
    byId("result").focus({ preventScroll: true });
  }

  #clear() {
    for (const id of ["result", "one", "page", "pages", "failures", "problem"]) byId(id).hidden = true;
    for (const address of this.#addresses.splice(0)) URL.revokeObjectURL(address);
    this.#stop?.abort();
  }

  #busy(text) {
    byId("busy").hidden = !text;
    setText(byId("busy-text"), text);
  }

  #tell(text) {
    byId("problem").hidden = false;
    setText(byId("problem"), text);
  }

  #listen() {
    byId("file").addEventListener("change", () => {
      const [file] = byId("file").files;
      this.#take(file).then(() => (byId("file").value = ""));
    });
    byId("form").addEventListener("submit", (event) => event.preventDefault());
    byId("form").addEventListener("change", ({ target }) => {
      if (target.id === "template") byId("form").elements.what.value = "page";
      if (target.id === "charset") byId("form").elements.what.value = "character";
      if (target.id !== "file" && this.#file) this.#take(this.#file);
    });
    byId("stop").addEventListener("click", () => {
      this.#round += 1;
      this.#stop?.abort();
      this.#busy("");
    });
    for (const [id, name] of [
      ["show-texts", "texts"],
      ["show-characters", "characters"],
      ["large", "large"],
    ]) {
      const apply = () => byId("overlay").classList.toggle(name, byId(id).checked);
      byId(id).addEventListener("change", apply);
      apply();
    }
    this.#listenToDrops();
  }

  #listenToDrops() {
    const dragging = (on) => document.body.classList.toggle("dragging", on);
    addEventListener("dragover", (event) => {
      event.preventDefault();
      dragging(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget === null && dragging(false));
    addEventListener("drop", (event) => {
      event.preventDefault();
      dragging(false);
      this.#take(event.dataTransfer.files[0]);
    });
  }
}

function formOf(file, more) {
  const form = new FormData();
  form.append("file", file);
  for (const [name, value] of Object.entries(more)) form.append(name, String(value));
  return form;
}

const reasonOf = (problem) => (problem.code === "unreachable" ? NO_ANSWER : problem.message);

new Upload().start();
