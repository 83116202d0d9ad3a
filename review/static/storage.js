// localStorage, or memory where the browser forbids it or has no room.

const memory = new Map(); // what is not in localStorage, or newer than there
const usable = (() => {
  try {
    const probe = "formscribe.probe";
    localStorage.setItem(probe, "1");
    localStorage.removeItem(probe);
    return true;
  } catch {
    return false;
  }
})();

/** Whether what is kept outlives this page. */
export const lasting = usable;

export function load(key) {
  const text = memory.get(key) ?? (usable ? localStorage.getItem(key) : null);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Keeps a value; false if the browser has no room for it, it is then kept in memory. */
export function save(key, value) {
  const text = JSON.stringify(value);
  memory.set(key, text);
  if (!usable) return false;
  try {
    localStorage.setItem(key, text);
    memory.delete(key);
    return true;
  } catch {
    return false;
  }
}

export function drop(key) {
  memory.delete(key);
  if (usable) localStorage.removeItem(key);
}

/** Keys that begin with a word, in order. */
export function keysOf(prefix) {
  const keys = new Set([...(usable ? Object.keys(localStorage) : []), ...memory.keys()]);
  return [...keys].filter((key) => key.startsWith(prefix)).sort();
}

/** Which desk this page belongs to: the same address may serve another one tomorrow. */
export const DESK = document.documentElement.dataset.desk;
