// Which key means what. Digits and letters are what people type, so commands lie on other keys.

import { digitsChoose } from "./reading.js";

const FUNCTION_KEYS = { F1: "help", F2: "page", F4: "blank", F6: "kind", F8: "unreadable", F9: "undo" };
const ALT_KEYS = { h: "help", p: "page", b: "blank", k: "kind", u: "unreadable", z: "undo" };
const KEYPAD = { NumpadDivide: "blank", NumpadMultiply: "unreadable", NumpadSubtract: "undo", NumpadAdd: "page" };
const ARROWS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

/** What a key press asks for: {name, number}; null if it is typing. `edited`: the line is not the reading. */
export function commandOf(event, field, edited) {
  const { key, code, altKey, ctrlKey, metaKey, shiftKey } = event;
  if (event.isComposing || event.getModifierState("AltGraph")) return null;
  const control = ctrlKey || metaKey;
  if (FUNCTION_KEYS[key]) return altKey || control || shiftKey ? null : { name: FUNCTION_KEYS[key] };
  if (altKey && !control) return withAlt(key, code);
  if (control) {
    if (key.toLowerCase() === "z" && !shiftKey && !edited) return { name: "undo" };
    if (ctrlKey && (key === "ArrowRight" || key === "ArrowLeft") && !shiftKey) {
      return { name: key === "ArrowRight" ? "right" : "left", doubtful: true };
    }
    return null;
  }
  if (key === "Enter") return shiftKey ? null : { name: "accept" };
  if (key === "Escape") return { name: "reading" };
  if (ARROWS[key] && !shiftKey) return { name: ARROWS[key] };
  if (field?.charset === "digits" && KEYPAD[code]) return { name: KEYPAD[code] };
  if (field && digitsChoose(field) && /^[1-9]$/.test(key)) return { name: "other", number: Number(key) };
  return null;
}

function withAlt(key, code) {
  const digit = code.match(/^(?:Digit|Numpad)([1-9])$/);
  if (digit) return { name: "other", number: Number(digit[1]) };
  // With Alt some systems make other signs of letters; then the place of the key counts.
  const letter = /^[a-z]$/i.test(key) ? key.toLowerCase() : code.replace(/^Key/, "").toLowerCase();
  return ALT_KEYS[letter] ? { name: ALT_KEYS[letter] } : null;
}

/** What stands on the button of another reading. */
export const otherKey = (field, number) => (digitsChoose(field) ? `${number}` : `Alt ${number}`);
