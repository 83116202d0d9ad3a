// What stands around the field: counts, the kinds of fields, and what to see when there is no field.

import { byId, element, plural, setText } from "./dom.js";

const number = (count) => count.toLocaleString("en");

export function showCounts(work, progress, outbox) {
  const state = progress.state;
  const left = state ? state.left : work.asked ? Math.max(0, work.remaining - outbox.size) : null;
  setText(byId("left"), left === null ? "–" : number(left));
  setText(byId("sitting"), number(progress.sitting));
  setText(byId("speed"), progress.speed === null ? "–" : number(progress.speed));
  const bar = byId("done");
  if (state?.review) {
    bar.max = state.review;
    bar.value = state.review - state.left;
    bar.title = `${number(state.review - state.left)} of ${number(state.review)} done`;
  }
}

/** Lists the kinds; leaves the list alone while somebody chooses. */
export function showKinds(work) {
  const select = byId("kind");
  if (document.activeElement === select || !work.asked) return;
  const shown = new Map([...select.options].map((option) => [option.value, option]));
  for (const { kind, label, remaining } of work.kinds) {
    const text = `${label} · ${number(remaining)}`;
    const option = shown.get(kind);
    if (option) setText(option, text);
    else select.append(element("option", { value: kind, text }));
    shown.delete(kind);
  }
  shown.delete("");
  for (const [kind, option] of shown) {
    if (kind === select.value) setText(option, option.textContent.replace(/ · .*$/, " · 0"));
    else option.remove();
  }
}

/** What to see while there is no field. */
export function showRest(work, outbox, progress, asleep) {
  const rest = byId("rest");
  rest.hidden = Boolean(work.current);
  if (work.current) return;
  const { title, text, all } = restOf(work, outbox, progress, asleep);
  setText(byId("rest-title"), title);
  setText(byId("rest-text"), text);
  byId("rest-button").hidden = !all;
  byId("rest-button").replaceChildren("All kinds ", element("kbd", { text: "Enter" }));
  byId("rest-undo").hidden = byId("undo").disabled || asleep;
}

function restOf(work, outbox, progress, asleep) {
  if (asleep) return { title: "Resting", text: "Nothing is taken from the queue for this tab." };
  if (work.problem)
    return { title: "No fields at the moment", text: `${work.problem.message} Trying again every few seconds.` };
  if (!work.asked) return { title: "Fetching fields …", text: "" };
  if (outbox.size) return { title: "Saving", text: "The last answers are on their way." };
  const done = progress.sitting ? `${plural(progress.sitting, "answer")} by you in this sitting. ` : "";
  if (!work.remaining)
    return { title: "Nothing is doubtful any more", text: `${done}Fields of new runs appear here by themselves.` };
  if (work.kind && !work.kinds.some(({ kind }) => kind === work.kind)) {
    return {
      title: "This kind is done",
      text: `${done}${plural(work.remaining, "field")} of other kinds left.`,
      all: true,
    };
  }
  const them = work.remaining === 1 ? "The last field is" : `The last ${number(work.remaining)} fields are`;
  return {
    title: "Others are at it",
    text: `${done}${them} with other people, and come here if they leave them.`,
    all: Boolean(work.kind),
  };
}
