// Live lines of a metric: filter, pause, follow, copy; bounded, and told what was lost.

import { copy } from "./clipboard.js";
import { byId, element, onFrame, setAttribute, setText } from "./dom.js";
import { clockOfNs, count } from "./format.js";

const MOST_LINES = 1000;
const MOST_CHARACTERS = 4_000_000; // of all lines that are kept
const SHOWN_CHARACTERS = 2000; // of one line; a copy has all
const FILTER_PAUSE_MS = 300;
const COPIED_MS = 1200;
const NEAR_END_PIXELS = 8;

export class Lines {
  #list = byId("lines");
  #kept = []; // what is shown, oldest first: {message, item}
  #characters = 0;
  #coming = []; // what is not shown yet
  #known = null; // lines from before a reconnection, which come once more
  #lost = 0;
  #passedOver = 0; // came during a pause, and there was no room
  #away = false;
  #paused = false;
  #following = true;
  #top = 0; // where the list was scrolled to
  #timer = 0;

  // `search(text)` is called when other lines are wanted; `say(text)` tells people what was done.
  constructor({ search, say }) {
    this.search = search;
    this.say = say;
    byId("lines-filter").addEventListener("input", () => this.#filterSoon());
    byId("lines-pause").addEventListener("click", () => this.pause(!this.#paused));
    byId("lines-follow").addEventListener("click", () => this.#follow(!this.#following));
    byId("lines-wrap").addEventListener("click", ({ target }) => this.#wrap(target));
    byId("lines-copy").addEventListener("click", () => this.#copyAll());
    this.#list.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#list.addEventListener("click", (event) => this.#clicked(event));
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
  }

  get filter() {
    return byId("lines-filter").value;
  }

  clear() {
    clearTimeout(this.#timer);
    this.#kept = [];
    this.#coming = [];
    this.#known = null;
    this.#characters = this.#lost = this.#passedOver = 0;
    this.#list.replaceChildren();
    this.#tell();
  }

  // Forget filter and pause too: another metric is shown.
  reset() {
    byId("lines-filter").value = "";
    this.pause(false);
    this.#follow(true);
    this.clear();
  }

  take(message) {
    if ("lost" in message) this.#lost += message.lost;
    if (this.#isKnown(message)) return;
    this.#coming.push(message);
    if (this.#coming.length > MOST_LINES) {
      this.#coming.shift();
      this.#passedOver += 1;
    }
    onFrame(this.#draw);
  }

  // Once the connection is there again the newest lines come anew: what is shown already need not be shown twice.
  lost() {
    this.#known = new Set([...this.#kept.map(({ message }) => message), ...this.#coming].map(identity));
    this.#away = true;
    this.#tell();
  }

  opened() {
    this.#away = false;
    this.#tell();
  }

  pause(paused) {
    this.#paused = paused;
    setAttribute(byId("lines-pause"), "aria-pressed", String(paused));
    onFrame(this.#draw);
  }

  togglePause() {
    this.pause(!this.#paused);
  }

  #isKnown(message) {
    if (this.#known?.has(identity(message))) return true;
    this.#known = null;
    return false;
  }

  #draw = () => {
    if (!this.#paused) this.#append(this.#coming.splice(0));
    this.#tell();
  };

  #append(messages) {
    if (messages.length === 0) return;
    if (this.#passedOver) messages.unshift({ gap: `${count(this.#passedOver)} lines passed by, too many to keep` });
    this.#passedOver = 0;
    const added = messages.map((message) => ({ message, item: itemOf(message) }));
    this.#kept.push(...added);
    for (const { message } of added) this.#characters += sizeOf(message);
    this.#list.append(...added.map(({ item }) => item));
    this.#forgetOldest();
    if (this.#following) this.#toEnd();
  }

  #forgetOldest() {
    let gone = 0;
    while (this.#kept.length - gone > MOST_LINES || (this.#characters > MOST_CHARACTERS && gone < this.#kept.length)) {
      const { message, item } = this.#kept[gone];
      this.#characters -= sizeOf(message);
      item.remove();
      gone += 1;
    }
    this.#kept.splice(0, gone);
  }

  #tell() {
    const held = this.#coming.length;
    const lost = this.#lost ? `, ${count(this.#lost)} lost: this page was too slow` : "";
    const away = this.#away ? ", not connected: trying again" : "";
    setText(byId("lines-count"), `${count(this.#lines().length)} lines${lost}${away}`);
    setText(byId("lines-pause"), this.#paused ? `Resume${held ? ` (${count(held)} new)` : ""}` : "Pause");
  }

  #lines() {
    return this.#kept.filter(({ message }) => "line" in message);
  }

  #filterSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.clear();
      this.search(this.filter);
    }, FILTER_PAUSE_MS);
  }

  #follow(following) {
    this.#mark(following);
    if (following) this.#toEnd();
  }

  #mark(following) {
    this.#following = following;
    setAttribute(byId("lines-follow"), "aria-pressed", String(following));
  }

  #toEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
    this.#top = this.#list.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#list;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PIXELS;
    // Not at the end is also who was overtaken by new lines; only people go up.
    const wentUp = scrollTop < this.#top;
    this.#top = scrollTop;
    if (atEnd || wentUp) this.#mark(atEnd);
  }

  #wrap(button) {
    const wrapped = this.#list.classList.toggle("wrapped");
    setAttribute(button, "aria-pressed", String(wrapped));
  }

  async #copyAll() {
    const lines = this.#lines();
    const copied = await copy(lines.map(({ message }) => message.line).join("\n"));
    this.#flash(byId("lines-copy"), copied ? `Copied ${count(lines.length)}` : "Not allowed", "Copy all");
  }

  #clicked({ target }) {
    if (target.closest("button")) this.#copyOne(target.closest("li"));
  }

  async #copyOne(item) {
    const { message } = this.#kept.find((kept) => kept.item === item) ?? {};
    if (!message || !("line" in message)) return;
    const copied = await copy(message.line);
    this.#flash(item.querySelector("button"), copied ? "Copied" : "Not allowed", "Copy");
  }

  #flash(button, words, usual) {
    setText(button, words);
    this.say(words);
    setTimeout(() => setText(button, usual), COPIED_MS);
  }

  #walk(event) {
    const items = this.#list.children;
    const place = [...items].indexOf(document.activeElement);
    const last = items.length - 1;
    const goal = { ArrowDown: place + 1, ArrowUp: place < 0 ? last : place - 1, Home: 0, End: last }[event.key];
    if (goal !== undefined && items[goal]) {
      event.preventDefault();
      items[goal].focus();
    } else if (event.key === "c" && place >= 0 && !event.ctrlKey && !event.metaKey) {
      this.#copyOne(items[place]);
    }
  }
}

function itemOf(message) {
  if ("lost" in message) return noteOf(`${count(message.lost)} lines lost here: this page was too slow`);
  if ("gap" in message) return noteOf(message.gap);
  const { line } = message;
  const more = line.length > SHOWN_CHARACTERS ? ` … ${count(line.length - SHOWN_CHARACTERS)} more characters` : "";
  return element(
    "li",
    { tabindex: "-1" },
    element("time", { text: clockOfNs(message.time_ns) }),
    element("code", { text: line.slice(0, SHOWN_CHARACTERS) + more, dir: "ltr" }),
    element("button", { type: "button", tabindex: "-1", text: "Copy" }),
  );
}

function noteOf(words) {
  return element("li", { class: "gap", tabindex: "-1", text: words });
}

function sizeOf(message) {
  return message.line?.length ?? 0;
}

function identity({ time_ns: time, line, labels }) {
  return line === undefined ? "" : `${time} ${JSON.stringify(labels)} ${line}`;
}
