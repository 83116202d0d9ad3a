// Runs before the page is drawn, so that it does not flash in the other colours.
"use strict";
(() => {
  const KEY = "formscribe.theme";
  const NAMES = { "": "System", light: "Light", dark: "Dark" };
  const order = Object.keys(NAMES);
  const read = () => {
    try {
      const kept = localStorage.getItem(KEY) ?? "";
      return kept in NAMES ? kept : "";
    } catch {
      return ""; // storage is switched off
    }
  };
  let chosen = read();
  const apply = () => {
    document.documentElement.dataset.theme = chosen;
    const button = document.getElementById("theme");
    if (button) {
      const word = document.createElement("span");
      word.className = "word";
      word.textContent = NAMES[chosen];
      button.replaceChildren("◐ ", word);
      button.setAttribute("aria-label", `Colours: ${NAMES[chosen]}`);
    }
  };
  apply();
  addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme")?.addEventListener("click", () => {
      chosen = order[(order.indexOf(chosen) + 1) % order.length];
      try {
        localStorage.setItem(KEY, chosen);
      } catch {
        // lasts as long as this page
      }
      apply();
    });
  });
})();
