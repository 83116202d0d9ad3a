// What the desk tells about itself: whether answers are saved, what went wrong, what was not taken.

import { byId, element, plural, setText } from "./dom.js";

const VERDICTS = { blank: "blank", unreadable: "unreadable" };

/** An answer in words. */
export const inWords = ({ op, verdict, text }) => (op === "undo" ? "undoing" : (VERDICTS[verdict] ?? text));

/** Shows how many answers are on their way. */
export function showSaves(outbox) {
  const count = outbox.size;
  const state = !count ? "idle" : outbox.problem ? "waiting" : "saving";
  const texts = { idle: "All saved", saving: `Saving ${count}`, waiting: `${count} not saved yet` };
  const pill = byId("saves");
  const before = pill.dataset.state;
  pill.dataset.state = state;
  setText(pill, texts[state]);
  const spoken = byId("saves-voice");
  if (state === "waiting") setText(spoken, `${plural(count, "answer")} not saved yet. ${outbox.problem.message}`);
  else if (state === "idle" && before === "waiting") setText(spoken, "All answers are saved.");
}

/** Shows the first of several notices {text, bad, button, act} that is not null. */
export function showBanner(notices) {
  const notice = notices.find(Boolean) ?? null;
  const banner = byId("banner");
  const button = byId("banner-button");
  banner.hidden = !notice;
  if (!notice) return;
  banner.classList.toggle("bad", Boolean(notice.bad));
  setText(byId("banner-text"), notice.text);
  button.hidden = !notice.button;
  setText(button, notice.button ?? "");
  button.onclick = notice.act ?? null;
}

/** Lists the answers that were not taken; each can be sent again or let go. */
export function showRefused(outbox) {
  const draw = () => {
    const entries = outbox.refused;
    byId("refused-list").replaceChildren(
      ...entries.map(({ key, item, reason }) => {
        const again = element("button", { type: "button", text: "Send again" });
        const away = element("button", { type: "button", text: "Let go" });
        again.addEventListener("click", () => settle(key, true));
        away.addEventListener("click", () => settle(key, false));
        const what = element("b", { text: inWords(item) });
        const place = ` for ${item.field} of ${item.source}, page ${item.page}: ${reason} `;
        return element("li", {}, what, place, element("span", { class: "row" }, again, away));
      }),
    );
    if (!entries.length) byId("refused").close();
  };
  const settle = (key, again) => {
    outbox.settle(key, again);
    draw();
  };
  byId("refused").showModal();
  draw();
}
