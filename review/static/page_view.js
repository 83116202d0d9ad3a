// The whole page with the field marked, to be moved and enlarged by keys, wheel and hand.

import { baseName, byId, element } from "./dom.js";

const STEP = 1.35;
const LARGEST = 8;
const MOVE = 90; // pixels

export class PageView {
  #dialog = byId("page-view");
  #viewport = byId("viewport");
  #layer = element("div", { class: "layer" });
  #view = { x: 0, y: 0, scale: 1 };
  #size = [1, 1];
  #box = [0, 0, 1, 1];
  #drag = null;
  #middle = [0.5, 0.5]; // of what is seen, in shares of the page

  constructor(closed) {
    this.#viewport.append(this.#layer);
    this.#dialog.addEventListener("close", closed);
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    for (const button of this.#dialog.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.#do(button.dataset.zoom));
    }
    this.#viewport.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#viewport.addEventListener("pointerdown", (event) => this.#hold(event));
    this.#viewport.addEventListener("pointermove", (event) => this.#pull(event));
    for (const name of ["pointerup", "pointercancel"]) this.#viewport.addEventListener(name, () => (this.#drag = null));
    new ResizeObserver(() => this.#dialog.open && this.#place()).observe(this.#viewport);
  }

  get isOpen() {
    return this.#dialog.open;
  }

  async open(field) {
    this.#dialog.showModal();
    byId("page-title").textContent = `${baseName(field.source)}, page ${field.page}`;
    byId("page-title").title = field.source;
    this.#layer.replaceChildren(element("p", { class: "wait", text: "The page is coming …" }));
    this.#layer.removeAttribute("style");
    this.#viewport.focus();
    const image = new Image();
    image.alt = `Page ${field.page} of ${field.source}`;
    image.draggable = false;
    image.src = field.page_picture;
    try {
      await image.decode();
    } catch {
      this.#layer.replaceChildren(
        element("p", { class: "wait", text: "The page does not come. Close, and try again." }),
      );
      return;
    }
    this.#size = [image.naturalWidth, image.naturalHeight];
    this.#box = field.page_box;
    const mark = element("div", { class: "mark" });
    const [x, y, width, height] = field.page_box.map((part) => `${100 * part}%`);
    Object.assign(mark.style, { left: x, top: y, width, height });
    this.#layer.replaceChildren(image, mark);
    this.#layer.style.width = `${this.#size[0]}px`;
    this.#layer.style.height = `${this.#size[1]}px`;
    this.#do("fit");
  }

  close() {
    this.#dialog.close();
  }

  #do(what) {
    if (what === "close") return this.close();
    if (what === "fit") this.#view = { x: 0.5, y: 0.5, scale: this.#fitScale() };
    if (what === "field") {
      const [x, y, width] = this.#box;
      const scale = (0.9 * this.#viewport.clientWidth) / Math.max(1, width * this.#size[0]);
      this.#view = { x: x + width / 2, y: y + this.#box[3] / 2, scale: Math.min(3, scale) };
    }
    if (what === "in" || what === "out") this.#zoom(what === "in" ? STEP : 1 / STEP);
    this.#place();
    return undefined;
  }

  /** Enlarges about the middle; from the whole page, about the field. */
  #zoom(factor) {
    if (factor > 1 && this.#view.scale <= this.#fitScale() * 1.01) {
      const [x, y, width, height] = this.#box;
      Object.assign(this.#view, { x: x + width / 2, y: y + height / 2 });
    }
    this.#view.scale *= factor;
  }

  #fitScale() {
    const { clientWidth, clientHeight } = this.#viewport;
    return Math.min(clientWidth / this.#size[0], clientHeight / this.#size[1]);
  }

  #place() {
    const view = this.#view;
    view.scale = Math.max(this.#fitScale(), Math.min(LARGEST, view.scale));
    const [width, height] = this.#size.map((side) => side * view.scale);
    const { clientWidth, clientHeight } = this.#viewport;
    const edge = (centre, size, space) =>
      size <= space ? (space - size) / 2 : Math.min(0, Math.max(space - size, space / 2 - centre * size));
    const [left, top] = [edge(view.x, width, clientWidth), edge(view.y, height, clientHeight)];
    // What is asked for stays, so that enlarging goes on towards the field when the edge lets it.
    this.#middle = [(clientWidth / 2 - left) / width, (clientHeight / 2 - top) / height];
    this.#layer.style.transform = `translate(${left}px, ${top}px) scale(${view.scale})`;
    this.#layer.style.setProperty("--line-width", `${3 / view.scale}px`);
  }

  #move(x, y) {
    [this.#view.x, this.#view.y] = this.#middle;
    this.#view.x += x / (this.#size[0] * this.#view.scale);
    this.#view.y += y / (this.#size[1] * this.#view.scale);
    this.#place();
  }

  #key(event) {
    const moves = { ArrowLeft: [-MOVE, 0], ArrowRight: [MOVE, 0], ArrowUp: [0, -MOVE], ArrowDown: [0, MOVE] };
    const deeds = { "+": "in", "=": "in", "-": "out", 0: "fit", 5: "field", F2: "close" };
    if (event.ctrlKey || event.metaKey) return;
    if (moves[event.key]) this.#move(...moves[event.key]);
    else if (deeds[event.key]) this.#do(deeds[event.key]);
    else if (event.altKey && event.code === "KeyP") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #wheel(event) {
    event.preventDefault();
    const frame = this.#viewport.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left - frame.width / 2, event.clientY - frame.top - frame.height / 2];
    const before = this.#view.scale;
    this.#view.scale *= event.deltaY < 0 ? 1.15 : 1 / 1.15;
    this.#place();
    const share = this.#view.scale / before - 1;
    this.#move(x * share, y * share);
  }

  #hold(event) {
    this.#drag = [event.clientX, event.clientY];
    this.#viewport.setPointerCapture(event.pointerId);
  }

  #pull(event) {
    if (!this.#drag) return;
    const [x, y] = this.#drag;
    this.#drag = [event.clientX, event.clientY];
    this.#move(x - event.clientX, y - event.clientY);
  }
}
