// Small helpers. Text only ever becomes text: nothing here or elsewhere makes markup of strings.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; `class`, `text` and `data` are short for the usual. */
export function element(name, { text, data = {}, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  Object.assign(made.dataset, data);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/** Sets text only if it differs, so that screen readers and layout rest. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** A probability for people. */
export function percent(share) {
  if (share === null || share === undefined) return "";
  if (share < 0.005) return "<1 %";
  return share >= 0.995 && share < 1 ? ">99 %" : `${Math.round(share * 100)} %`;
}

export const baseName = (path) => path.split(/[/\\]/).pop() || path;
