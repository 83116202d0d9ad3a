// A reading against its picture: which character stands over which ink, which are doubtful, what may be typed.

import { percent } from "./dom.js";

const SURE = 0.9;
const UNSURE = 0.5;

const CHARSETS = {
  digits: { shown: "digits", pattern: /[^0-9\s]/gu, name: "a digit", numeric: true, digits: true },
  upper: { shown: "capitals", pattern: /[^A-Z\s]/gu, name: "a capital", change: (text) => text.toUpperCase() },
  lower: {
    shown: "small letters",
    pattern: /[^a-z\s]/gu,
    name: "a small letter",
    change: (text) => text.toLowerCase(),
  },
  letters: { shown: "letters", pattern: /[^A-Za-z\s]/gu, name: "a letter" },
  alphanumeric: {
    shown: "capitals and digits",
    pattern: /[^A-Z0-9\s]/gu,
    name: "a capital or a digit",
    change: (text) => text.toUpperCase(),
    digits: true,
  },
  text: { shown: "any characters", digits: true },
  mark: { shown: "box, x is ticked" },
};

export const charsetOf = (field) => CHARSETS[field.charset] ?? { digits: true };

/** Whether digits alone take other readings, as none can stand in the field. */
export const digitsChoose = (field) => !charsetOf(field).digits;

/** Whether a reading has more than one line, or more characters than fit into one. */
export const isLong = (field) => field.text.includes("\n") || (field.max_length ?? 0) > 120 || field.text.length > 80;

/** What a text lacks to stand in a field, for a person; "" if nothing. */
export function complaint(text, field) {
  const { pattern, name } = charsetOf(field);
  const strange = pattern ? [...new Set(text.match(pattern) ?? [])] : [];
  if (strange.length) return `Not ${name}: ${strange.join(" ")}`;
  const length = letters(text).length;
  if (field.max_length && length > field.max_length && length > letters(field.text).length) {
    return `${length} characters; at most ${field.max_length} fit`;
  }
  return "";
}

/** Text as it is kept: one form for each character, no control characters, nothing around it. */
export function tidy(text, field) {
  const plain = text
    .normalize("NFC")
    .replace(/\r\n?/g, "\n")
    .replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "");
  const lines = isLong(field) ? plain : plain.replace(/[\n\t]/g, " ");
  return lines.trim();
}

const letters = (text) => Array.from(text).filter((letter) => letter.trim());

/** The letters of a text, each with its place {letter, index in UTF-16, character of the reading or null}. */
export function places(text, characters) {
  const found = [];
  let index = 0;
  let next = 0;
  for (const letter of text) {
    if (letter.trim()) found.push({ letter, index, character: characters[next++] ?? null });
    index += letter.length;
  }
  return found;
}

/** The letters of the reading itself; none have a character if the two do not go together. */
export function readPlaces(field) {
  const found = places(field.text, field.characters);
  const matching = found.length === field.characters.length;
  return matching ? found : found.map((place) => ({ ...place, character: null }));
}

/** How doubtful a character is: "", "doubtful" or "very". The least sure one of a reading always is. */
export function doubtOf(character, characters) {
  if (!character) return "";
  if (character.confidence < UNSURE) return "very";
  if (character.confidence < SURE) return "doubtful";
  const least = Math.min(...characters.map((other) => other.confidence));
  return characters.length > 1 && least >= SURE && character.confidence === least ? "doubtful" : "";
}

/** What to say of a character: its confidence and what else it may be. */
export function aboutCharacter(character) {
  const others = character.alternatives.filter((other) => other.confidence >= 0.01).slice(0, 3);
  const told = others.map((other) => `${other.label} ${percent(other.confidence)}`).join(", ");
  return `${character.label} ${percent(character.confidence)}${told ? `, else ${told}` : ""}`;
}

/** The letters of another reading, each with whether it differs from the first one. */
export function differences(text, from) {
  const [one, other] = [Array.from(text), Array.from(from)];
  if (one.length === other.length) return one.map((letter, at) => ({ letter, differs: letter !== other[at] }));
  let begin = 0;
  while (begin < Math.min(one.length, other.length) && one[begin] === other[begin]) begin += 1;
  let end = 0;
  while (end < Math.min(one.length, other.length) - begin && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  return one.map((letter, at) => ({ letter, differs: at >= begin && at < one.length - end }));
}
