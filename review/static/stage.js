// The picture of a field, large, and under each piece of ink the character that it was read as.

import { element } from "./dom.js";
import { aboutCharacter, doubtOf, isLong, places, readPlaces } from "./reading.js";

const LARGEST = 4; // times the pixels of the scan
const WIDTH_OF_LETTER = 0.64; // of the size of the type
const SIZES = [15, 56]; // of the type, in pixels

export class Stage {
  #node;
  #entry = null;
  #paper = element("div", { class: "paper" });
  #row = element("div", { class: "row-under", "aria-hidden": "true" });
  #ink = element("div", { class: "ink", "aria-hidden": "true" });
  #wait = element("p", { class: "wait", text: "The picture is coming … F2 shows the page." });
  #scale = 1;
  #value = "";
  #chosen = null;

  constructor(node) {
    this.#node = node;
    node.append(this.#paper);
    new ResizeObserver(() => this.#entry && this.#arrange()).observe(node);
  }

  /** Shows a field; its picture at once if it is there, else as soon as it comes. */
  show(entry) {
    this.#entry = entry;
    this.#node.dataset.field = entry.field.id;
    this.#value = null;
    this.#arrange();
    if (!entry.loaded) entry.ready.then(() => entry === this.#entry && this.#arrange());
  }

  /** Shows what stands in the line: each letter under its ink, the chosen one marked. */
  follow(value, chosen) {
    if (!this.#entry || (this.#value === value && this.#chosen === chosen)) return;
    this.#value = value;
    this.#chosen = chosen;
    this.#draw();
  }

  #arrange() {
    const { field, image, loaded } = this.#entry;
    const long = isLong(field);
    const space = this.#node.clientWidth;
    const tall = Math.max(120, innerHeight * (long ? 0.42 : 0.34));
    const scale = Math.min(space / field.picture_width, tall / field.picture_height, LARGEST);
    this.#scale = scale;
    this.#node.classList.toggle("long", long);
    this.#paper.style.width = `${field.picture_width * scale}px`;
    const height = `${field.picture_height * scale}px`;
    if (loaded) {
      image.style.height = height;
      this.#paper.replaceChildren(image, long ? this.#ink : this.#row);
    } else {
      this.#wait.style.height = height;
      this.#paper.replaceChildren(this.#wait, this.#row);
    }
    this.#draw();
  }

  #draw() {
    const { field } = this.#entry;
    const value = this.#value ?? field.text;
    if (isLong(field)) this.#drawLong(field, value);
    else this.#drawRow(field, value);
  }

  /** Of a paragraph the doubtful characters are marked in the picture itself. */
  #drawLong(field, value) {
    const doubtful = field.characters.filter((character) => doubtOf(character, field.characters));
    const letters = places(value, field.characters);
    const fits = letters.length === field.characters.length;
    const chosen = fits ? letters.find(({ index }) => index === this.#chosen)?.character : null;
    this.#ink.replaceChildren(
      ...doubtful.map((character) => this.#mark(character, field)),
      ...(chosen ? [this.#mark(chosen)] : []),
    );
  }

  /** A line under a doubtful character, or a frame around the chosen one. */
  #mark(character, field) {
    const [x, y, width, height] = character.box.map((side) => side * this.#scale);
    const mark = element("i", { class: field ? `under ${doubtOf(character, field.characters)}` : "around" });
    Object.assign(mark.style, { left: `${x}px`, width: `${Math.max(3, width)}px` });
    Object.assign(mark.style, field ? { top: `${y + height + 1}px` } : { top: `${y}px`, height: `${height}px` });
    return mark;
  }

  #drawRow(field, value) {
    const reading = value === field.text;
    const read = readPlaces(field);
    const fits = read.every((place) => place.character);
    const letters = places(value, fits ? field.characters : []);
    const within = letters.every((place) => place.character);
    const centres = within ? inkCentres(letters, this.#scale) : spread(letters.length, field, this.#scale);
    const size = typeSize(centres, field.picture_width * this.#scale);
    const width = size * WIDTH_OF_LETTER;
    const limit = field.picture_width * this.#scale;
    const lefts = apart(centres, width, limit);
    this.#row.style.height = `${size * 1.45}px`;
    this.#row.style.fontSize = `${size}px`;
    this.#row.replaceChildren(
      ...(within ? letters.map(({ character, index }) => this.#bracket(character, field, index === this.#chosen)) : []),
      ...letters.map(({ letter, index, character }, at) => {
        const same = character && character.label === letter;
        const doubt = same ? doubtOf(character, field.characters) : "";
        const cell = element("span", { class: `letter ${doubt}`, text: letter });
        if (!reading && !same) cell.classList.add("typed");
        if (this.#chosen !== null && index === this.#chosen) cell.classList.add("chosen");
        if (doubt) cell.title = aboutCharacter(character);
        cell.style.left = `${lefts[at] - width / 2}px`;
        cell.style.width = `${width}px`;
        return cell;
      }),
    );
  }

  #bracket(character, field, chosen) {
    const line = element("i", { class: `bracket ${doubtOf(character, field.characters)}` });
    line.classList.toggle("chosen", chosen);
    line.style.left = `${character.box[0] * this.#scale}px`;
    line.style.width = `${Math.max(3, character.box[2] * this.#scale)}px`;
    return line;
  }
}

const inkCentres = (letters, scale) => letters.map(({ character: { box } }) => (box[0] + box[2] / 2) * scale);

function spread(count, field, scale) {
  const boxes = field.characters.map((character) => character.box);
  const begin = boxes.length ? Math.min(...boxes.map((box) => box[0])) : field.box[0];
  const end = boxes.length ? Math.max(...boxes.map((box) => box[0] + box[2])) : field.box[0] + field.box[2];
  const step = (end - begin) / Math.max(1, count);
  return Array.from({ length: count }, (_, at) => (begin + step * (at + 0.5)) * scale);
}

/** So large that most letters have room; those too near are moved apart. */
function typeSize(centres, width) {
  const gaps = centres
    .slice(1)
    .map((centre, at) => centre - centres[at])
    .sort((a, b) => a - b);
  const usual = gaps.length ? gaps[Math.floor(gaps.length / 3)] : SIZES[1];
  const room = centres.length ? width / centres.length : SIZES[1];
  const size = Math.min(usual * 1.15, room) / WIDTH_OF_LETTER;
  return Math.max(SIZES[0], Math.min(SIZES[1], size));
}

/** Centres at least a letter's width apart, as near to those asked for as a pass each way brings them. */
function apart(centres, width, limit) {
  const moved = [...centres];
  for (let at = 1; at < moved.length; at += 1) moved[at] = Math.max(moved[at], moved[at - 1] + width);
  let edge = Math.max(limit, moved.length * width) - width / 2;
  for (let at = moved.length - 1; at >= 0; at -= 1) {
    moved[at] = Math.min(moved[at], edge);
    edge = moved[at] - width;
  }
  return moved;
}
