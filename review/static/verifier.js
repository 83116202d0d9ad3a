// Who is at the desk: asked once, kept in this browser.

import { byId } from "./dom.js";
import { load, save } from "./storage.js";

const KEY = "formscribe.verifier";

/** The name that is kept, or "". */
export function verifierName() {
  const name = load(KEY);
  return typeof name === "string" ? name : "";
}

/** Asks for a name until there is one; resolves to it. */
export function askVerifier() {
  const dialog = byId("who");
  const input = byId("who-name");
  const known = verifierName();
  input.value = known;
  if (!dialog.open) dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    const form = dialog.querySelector("form");
    const submit = (event) => {
      event.preventDefault();
      const name = input.value
        .replace(/[\x00-\x1f\x7f]/g, " ")
        .trim()
        .normalize("NFC");
      const problem = byId("who-problem");
      problem.hidden = name !== "";
      problem.textContent = name ? "" : "A name, please.";
      if (!name) return;
      finish(name);
    };
    const cancel = (event) => {
      event.preventDefault();
      if (known) finish(known);
    };
    const finish = (name) => {
      form.removeEventListener("submit", submit);
      dialog.removeEventListener("cancel", cancel);
      save(KEY, name);
      dialog.close();
      showVerifier();
      resolve(name);
    };
    form.addEventListener("submit", submit);
    dialog.addEventListener("cancel", cancel);
  });
}

/** Shows the name in the top line; `changed` is called with another one. */
export function showVerifier(changed) {
  const button = byId("verifier");
  const name = verifierName();
  button.hidden = !name;
  button.textContent = name;
  button.setAttribute("aria-label", `Verifier: ${name}. Change`);
  if (changed) {
    button.addEventListener("click", async () => {
      const before = verifierName();
      const after = await askVerifier();
      if (after !== before) changed(after, before);
    });
  }
}
