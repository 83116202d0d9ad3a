// A page with boxes around its fields and characters, and the readings over them.

import { element, percent } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const LETTER = 0.62; // of the size of the type, how wide a letter is

/** Draws a page {width, height, fields} over its picture; gives a function that lights up a field by number. */
export function drawPage(node, page, address) {
  const image = element("img", { src: address, alt: `Page ${page.page}` });
  const drawing = svg("svg", {
    viewBox: `0 0 ${page.width} ${page.height}`,
    role: "img",
    "aria-label": "Boxes and readings",
  });
  const groups = page.fields.map((field) => fieldGroup(field, page));
  drawing.append(...groups);
  const paper = element("div", { class: "sheet-of-paper" }, image);
  paper.append(drawing);
  node.replaceChildren(paper);
  return (at, on, scroll) => {
    groups[at].classList.toggle("lit", on);
    if (on && scroll) groups[at].scrollIntoView({ block: "nearest", inline: "nearest" });
  };
}

/** Lists the fields of a page as rows of a table; the one under the pointer is lit on the page. */
export function listFields(body, page, light) {
  body.replaceChildren(
    ...page.fields.map((field, at) => {
      const row = element(
        "tr",
        { class: field.status },
        element("th", { scope: "row", text: field.field }),
        element("td", { class: "text", text: field.text || (field.status === "blank" ? "blank" : "–") }),
        element("td", { text: percent(field.confidence), title: othersOf(field) }),
      );
      for (const [name, on] of [
        ["pointerenter", true],
        ["pointerleave", false],
      ]) {
        row.addEventListener(name, () => light(at, on, on));
      }
      return row;
    }),
  );
}

function fieldGroup(field, page) {
  const group = svg("g", { class: `field ${field.status}` });
  const [x, y, width, height] = field.box;
  group.append(svg("title", {}, `${field.field}: ${field.text || field.status} (${percent(field.confidence)})`));
  group.append(svg("rect", { class: "frame", x, y, width, height, rx: 4 }));
  for (const { box } of field.characters) {
    group.append(svg("rect", { class: "character", x: box[0], y: box[1], width: box[2], height: box[3] }));
  }
  if (field.text && !field.text.includes("\n")) {
    const size = textSize(field, page);
    const base = Math.max(size, y - size * 0.3);
    const plate = {
      class: "plate",
      x,
      y: base - size * 0.85,
      width: size * LETTER * field.text.length,
      height: size * 1.1,
    };
    group.append(svg("rect", plate), svg("text", { x, y: base, "font-size": size }, field.text));
  }
  return group;
}

/** So large that it can be read, so small that it stays over its field. */
function textSize(field, page) {
  const room = (field.box[2] * 1.1) / Math.max(1, LETTER * field.text.length);
  return Math.max(page.width / 110, Math.min(page.width / 60, room));
}

const othersOf = (field) => field.runners_up.map(({ text, confidence }) => `${text} ${percent(confidence)}`).join("\n");

function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
