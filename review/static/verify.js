// The desk: shows a doubtful field, takes an answer, shows the next one.

import { Answers } from "./answers.js";
import { call } from "./api.js";
import { byId } from "./dom.js";
import { FieldView } from "./field_view.js";
import { commandOf } from "./keys.js";
import { showBanner, showRefused, showSaves } from "./notices.js";
import { Outbox } from "./outbox.js";
import { PageView } from "./page_view.js";
import { Progress } from "./progress.js";
import { complaint, tidy } from "./reading.js";
import { showCounts, showKinds, showRest } from "./surroundings.js";
import { lasting } from "./storage.js";
import { onlyOne } from "./tabs.js";
import { askVerifier, showVerifier, verifierName } from "./verifier.js";
import { Work } from "./work.js";

const OTHER_TABS = 150; // milliseconds in which another tab says that it is there
const LOOK = 20_000; // between looks at the progress
const DWELL = 1500; // a field looked at so long is likely to be looked at on its page

class Desk {
  outbox = new Outbox();
  work = new Work(this.outbox);
  progress = new Progress();
  answers = null;
  view = new FieldView((name, number) => this.do(name, { number }));
  page = new PageView(() => this.view.focus());
  asleep = true;
  note = "";
  #undoing = false;
  #warned = null;
  #dwell = null;

  constructor() {
    this.tabs = onlyOne({ asleep: () => this.#sleep(), others: () => this.#sleep() });
    this.outbox.addEventListener("change", () => this.#showState());
    // The server is there again: fields are fetched at once, not when the next look is due.
    this.outbox.addEventListener("saved", () => (!this.work.current || this.work.problem) && this.work.fill());
    this.outbox.addEventListener("refused", ({ detail }) => this.#refused(detail.item));
    this.outbox.addEventListener("again", ({ detail }) => this.#again(detail));
    this.work.addEventListener("change", () => this.#arrived());
    this.work.addEventListener("lost", (event) => this.#lost(event.detail));
    this.#listen();
    setInterval(() => this.#refresh(), LOOK);
  }

  async start() {
    showVerifier((after, before) => this.#begin(after, before));
    const name = verifierName() || (await askVerifier());
    await new Promise((resolve) => setTimeout(resolve, OTHER_TABS));
    if (this.sleeping) return this.#showState();
    return this.#begin(name);
  }

  #begin(name) {
    this.sleeping = false;
    this.asleep = false;
    this.answers = new Answers(name);
    this.work.begin(name, byId("kind").value);
    this.outbox.kick();
    this.#show();
    this.#refresh();
  }

  #sleep() {
    this.sleeping = true;
    this.asleep = true;
    this.work.stop();
    this.#show();
  }

  #wake() {
    this.tabs.take();
    this.#begin(verifierName());
  }

  /** Does what a key or a button asks for; false if it cannot be done here. */
  do(name, { number, doubtful } = {}) {
    if (this.asleep) return false;
    this.work.touch();
    const { view, work } = this;
    const simple = {
      help: () => byId("help").showModal(),
      kind: () => byId("kind").focus(),
      undo: () => this.#undo(),
    };
    if (simple[name]) return (simple[name](), true);
    if (!work.current) return name === "accept" && this.#restButton();
    const field = work.current.field;
    const deeds = {
      accept: () => this.#accept(),
      blank: () => this.#answer("blank"),
      unreadable: () => this.#answer("unreadable"),
      page: () => this.page.open(field),
      reading: () => view.line.reset(),
      other: () => this.#takeOther(number),
    };
    if (deeds[name]) return (deeds[name](), true);
    if (name === "left" || name === "right") return view.line.step(name === "right" ? 1 : -1, doubtful);
    return view.rotate(name === "down" ? 1 : -1);
  }

  #accept() {
    const { field } = this.work.current;
    const text = tidy(this.view.line.value, field);
    if (!text) return this.#answer("blank");
    const problem = this.view.line.edited ? complaint(text, field) : "";
    if (problem && this.#warned !== text) {
      this.#warned = text;
      return this.view.stop(`${problem}. Enter once more keeps it all the same.`);
    }
    return this.#answer("text", text);
  }

  #takeOther(number) {
    const other = this.work.current.field.runners_up[number - 1];
    if (!other) return this.view.stop(`There is no other reading ${number}.`);
    const text = tidy(other.text, this.work.current.field);
    return text ? this.#answer("text", text) : this.#answer("blank");
  }

  #answer(verdict, text = "") {
    const entry = this.work.current;
    if (!entry.loaded && !entry.failing) return this.view.stop("The picture is not there yet.");
    const { id, field, source, page } = entry.field;
    const answer = { id, verifier: verifierName(), verdict, text, field, source, page };
    this.outbox.add({ op: "answer", ...answer });
    this.answers.push(answer, entry);
    this.progress.answered();
    this.note = "";
    this.work.next();
    return this.#show();
  }

  async #undo() {
    if (this.#undoing || !this.answers) return;
    const [answer, known] = this.answers.pop();
    if (!answer) return void this.view.stop("Nothing to undo.");
    this.#undoing = true;
    try {
      const entry = known ?? { field: await call("GET", `/api/fields/${encodeURIComponent(answer.id)}`) };
      if (!this.outbox.cancel(answer.id)) this.outbox.add({ ...answer, op: "undo" });
      if (this.work.current) this.work.current.draft = this.view.draft;
      const drafts = { text: answer.text, blank: "" };
      this.work.putFirst(entry, drafts[answer.verdict]);
      this.progress.undone();
      this.note = "";
      this.#show();
    } catch (problem) {
      this.answers.push(answer, known);
      this.view.stop(`It cannot be undone now: ${problem.message}`);
    }
    this.#undoing = false;
  }

  #refused(item) {
    if (item.op === "answer") this.answers?.drop(item);
    this.work.check();
  }

  #again({ op, id, verifier, verdict, text, field, source, page }) {
    if (op !== "answer" || verifier !== verifierName()) return;
    this.answers?.push({ id, verifier, verdict, text, field, source, page }, null);
  }

  #lost(id) {
    if (!this.work.lose(id)) return;
    this.note = "That field went to somebody else, as it was not answered in time.";
    this.work.next();
    this.#show();
  }

  #arrived() {
    if (!this.work.current && this.work.waiting.length) {
      this.work.next();
      this.#show();
    } else {
      this.#showState();
    }
  }

  #show() {
    this.#warned = null;
    const entry = this.work.current;
    this.view.show(entry);
    this.#showState();
    clearTimeout(this.#dwell);
    if (entry) this.#dwell = setTimeout(() => (new Image().src = entry.field.page_picture), DWELL);
  }

  #showState() {
    this.view.showLast(this.answers?.last ?? null);
    showSaves(this.outbox);
    showCounts(this.work, this.progress, this.outbox);
    showKinds(this.work);
    showRest(this.work, this.outbox, this.progress, this.asleep);
    showBanner(this.#notices());
  }

  #notices() {
    const problem = this.outbox.problem ?? this.work.problem;
    const refused = this.outbox.refused.length;
    const kept = this.outbox.size ? " Your answers are kept in this browser and are sent as soon as it does." : "";
    const retry = { button: "Try now", act: () => (this.outbox.kick(), this.work.fill()) };
    return [
      this.sleeping && {
        text: "The desk is open in another tab of this browser.",
        button: "Work here",
        act: () => this.#wake(),
      },
      problem?.needsToken && {
        text: "The server wants the token again. Your answers are kept.",
        bad: true,
        button: "Enter it",
        act: () => open("/login", "_blank", "noopener"),
      },
      problem && { text: problem.passing ? `${problem.message}${kept}` : problem.message, bad: true, ...retry },
      refused && {
        text: `${refused === 1 ? "An answer was" : `${refused} answers were`} not taken.`,
        button: "Look",
        act: () => showRefused(this.outbox),
      },
      !lasting && { text: "This browser keeps nothing between visits: wait for All saved before you close the page." },
      this.note && { text: this.note, button: "Good", act: () => ((this.note = ""), this.#showState()) },
    ];
  }

  async #refresh() {
    if (this.asleep || document.hidden) return;
    const items = () => this.outbox.size;
    await this.progress.refresh(verifierName(), items).catch(() => {});
    this.#showState();
  }

  #restButton() {
    const button = byId("rest-button");
    if (button.hidden) return false;
    button.click();
    return true;
  }

  #listen() {
    document.addEventListener("keydown", (event) => this.#key(event));
    byId("kind").addEventListener("change", () => {
      if (this.asleep) return;
      this.work.begin(verifierName(), byId("kind").value);
      this.#show();
      this.view.focus();
    });
    byId("rest-button").addEventListener("click", () => {
      byId("kind").value = "";
      byId("kind").dispatchEvent(new Event("change"));
    });
    const buttons = {
      "help-button": "help",
      blank: "blank",
      unreadable: "unreadable",
      page: "page",
      undo: "undo",
      "rest-undo": "undo",
    };
    for (const [id, name] of Object.entries(buttons)) {
      byId(id).addEventListener("click", () => {
        this.do(name);
        this.view.focus();
      });
    }
    byId("answer-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.do("accept");
      this.view.focus();
    });
    byId("saves").addEventListener("click", () => this.outbox.kick());
    byId("help").addEventListener("close", () => this.view.focus());
    addEventListener("beforeunload", (event) => this.outbox.size && event.preventDefault());
    addEventListener("pagehide", () => this.work.giveBack());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  #key(event) {
    if (document.querySelector("dialog[open]")) {
      if (event.key === "F1") this.#closeHelp(event);
      return;
    }
    const { target } = event;
    const onControl = target.closest?.("button, a, select") ?? null;
    const command = commandOf(event, this.work.current?.field, this.view.line.edited);
    if (!command) {
      const types = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
      if (types && target !== this.view.line.node && (!onControl || event.key !== " ") && !target.closest("select"))
        this.view.focus(true);
      return;
    }
    const ownKeys = ["accept", "left", "right", "up", "down", "other"];
    if (onControl && ownKeys.includes(command.name) && !event.altKey) return;
    if (onControl?.id === "kind" && command.name === "reading") return this.view.focus();
    // A key held down would answer field after field unseen.
    if (event.repeat && !["left", "right", "up", "down"].includes(command.name)) return event.preventDefault();
    if (this.do(command.name, command)) event.preventDefault();
  }

  #closeHelp(event) {
    event.preventDefault();
    byId("help").close();
  }
}

new Desk().start();
