// Jobs as a tree: tasks, their processes, and the jobs of those, opened on demand and paged.

import { byId, element, setAttribute, setClass, setHidden, setText } from "./dom.js";
import { count, isoSeconds, moment } from "./format.js";
import { Grid } from "./grid.js";
import { Refresh } from "./refresh.js";

const TASKS_SHOWN = 50;
const JOBS_SHOWN = 100;
const FILTER_PAUSE_MS = 300;
const LEVELS = { DONE: "good", FAILED: "bad", RUNNING: "busy", PENDING: "wait" };

export class JobsView {
  #refresh;
  #tasks = new Map();
  #pages = new Pages((offset) => this.#ask(offset), TASKS_SHOWN);
  #timer = 0;

  constructor() {
    this.section = byId("jobs-view");
    this.#refresh = new Refresh({ show: (answer) => this.#show(answer), fail: (words) => tell(`No answer: ${words}.`) });
    byId("jobs-pages").replaceChildren(this.#pages.element);
    byId("tags").addEventListener("input", () => this.#filterSoon());
  }

  show() {
    this.#ask(this.#pages.offset);
    for (const task of this.#tasks.values()) task.resume();
  }

  hide() {
    this.#refresh.stop();
    for (const task of this.#tasks.values()) task.pause();
  }

  #ask(offset) {
    this.#pages.offset = offset;
    const query = new URLSearchParams({ limit: TASKS_SHOWN, offset });
    const tags = byId("tags").value.split(",").map((tag) => tag.trim()).filter(Boolean);
    if (tags.length) query.set("tags", tags.join(","));
    this.#refresh.start(`api/jobs?${query}`);
  }

  #filterSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(0), FILTER_PAUSE_MS);
  }

  #show({ tasks, total }) {
    this.#pages.show(total);
    const none = byId("tags").value.trim() ? "No task has these tags." : "No task is known yet.";
    tell(total ? `${count(total)} ${total === 1 ? "task" : "tasks"}.` : none);
    showKeyed(byId("tasks"), this.#tasks, tasks, (task) => new Task(task.name));
  }
}

class Task {
  #head = new Head("task");
  #list = element("ul", { class: "processes" });
  #processes = new Map();

  constructor(name) {
    this.name = name;
    this.element = element("li", { class: "task" }, this.#head.element, this.#list);
    this.#head.controls(this.#list);
  }

  show(task) {
    const by = [task.username, moment(isoSeconds(task.submittedAt)), task.comment];
    this.#head.show(task, by.filter(Boolean).join(" · "), task.tags ?? []);
    showKeyed(this.#list, this.#processes, task.processes, ({ name }) => new Process(this.name, name));
  }

  pause() {
    for (const process of this.#processes.values()) process.pause();
  }

  resume() {
    for (const process of this.#processes.values()) process.resume();
  }

  close() {
    this.pause();
    this.element.remove();
  }
}

class Process {
  #head = new Head("process");
  #bar = element("span", { class: "stack", "aria-hidden": "true" });
  #part = element("div", { class: "jobs" });
  #note = element("span", { class: "soft" });
  #grid;
  #pages = new Pages((offset) => this.#ask(offset), JOBS_SHOWN);
  #refresh;

  constructor(task, name) {
    this.path = `api/jobs/${encodeURIComponent(task)}/${encodeURIComponent(name)}`;
    const caption = element("caption", { class: "unseen", text: `Jobs of ${name}` });
    const table = element("table", {}, caption);
    this.#grid = new Grid(table, { columns: JOB_COLUMNS, key: ({ index }) => index });
    table.addEventListener("sorted", () => this.#grid.arrange());
    this.#part.append(element("div", { class: "bar" }, this.#note, this.#pages.element), element("div", { class: "scroll" }, table));
    this.element = element("li", { class: "process" }, this.#head.element, this.#bar, this.#part);
    this.#head.controls(this.#part, (open) => (open ? this.resume() : this.pause()));
    this.#refresh = new Refresh({
      show: (answer) => this.#showJobs(answer),
      fail: (words) => setText(this.#note, `No answer: ${words}.`),
    });
  }

  show(process) {
    const words = Object.entries(process.jobs ?? {}).filter(([, number]) => number);
    const jobs = words.map(([status, number]) => `${count(number)} ${status.toLowerCase()}`).join(", ");
    const kind = process.type === "array" ? `array of ${count(process.nJobs)}` : "solitary";
    this.#head.show(process, [kind, jobs, process.lastEventClass && `last event ${process.lastEventClass}`].filter(Boolean).join(" · "), []);
    drawStack(this.#bar, process.jobs ?? {});
  }

  pause() {
    this.#refresh.stop();
  }

  resume() {
    if (this.#head.open) this.#ask(this.#pages.offset);
  }

  close() {
    this.pause();
    this.element.remove();
  }

  #ask(offset) {
    this.#pages.offset = offset;
    this.#refresh.start(`${this.path}?${new URLSearchParams({ limit: JOBS_SHOWN, offset })}`);
  }

  #showJobs({ jobs, total }) {
    this.#pages.show(total);
    setText(this.#note, total === 1 ? "1 job" : `${count(total)} jobs`);
    this.#grid.show(jobs);
  }
}

// A line that opens and closes what is below it: name, status, progress, and what else there is to say.
class Head {
  #name = element("button", { type: "button", class: "twist", "aria-expanded": "false" });
  #badge = element("span");
  #progress = element("span", { class: "progress", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, element("span"));
  #percent = element("span", { class: "percent" });
  #words = element("span", { class: "soft words" });
  #tags = element("span", { class: "tags" });

  constructor(kind) {
    const parts = [this.#name, this.#badge, this.#progress, this.#percent, this.#words, this.#tags];
    this.element = element("div", { class: `head ${kind}-head` }, ...parts);
  }

  get open() {
    return this.#name.getAttribute("aria-expanded") === "true";
  }

  controls(part, turned = () => {}) {
    part.hidden = true;
    this.#name.addEventListener("click", () => {
      const open = !this.open;
      setAttribute(this.#name, "aria-expanded", String(open));
      part.hidden = !open;
      turned(open);
    });
  }

  show({ name, status, progress }, words, tags) {
    setText(this.#name, name);
    setClass(this.#badge, `badge ${LEVELS[status] ?? "wait"}`);
    setText(this.#badge, (status ?? "nothing yet").toLowerCase());
    this.#showProgress(name, progress);
    setText(this.#words, words);
    setText(this.#tags, tags.map((tag) => `#${tag}`).join(" "));
  }

  // More than a hundred percent is told, and drawn as all.
  #showProgress(name, progress) {
    const known = progress !== null && progress !== undefined;
    const shown = Math.max(0, Math.min(100, progress ?? 0));
    setText(this.#percent, known ? `${Math.round(progress)} %` : "–");
    setAttribute(this.#progress, "aria-label", `Progress of ${name}`);
    if (known) setAttribute(this.#progress, "aria-valuenow", String(Math.round(shown)));
    else this.#progress.removeAttribute("aria-valuenow");
    this.#progress.firstChild.style.width = `${shown}%`;
  }
}

// Goes back and forth through more than is shown at once; hidden where all is.
class Pages {
  offset = 0;
  #back = element("button", { type: "button", text: "← Earlier" });
  #on = element("button", { type: "button", text: "Later →" });
  #words = element("span", { class: "soft" });

  constructor(turn, size) {
    this.size = size;
    this.element = element("span", { class: "pages" }, this.#back, this.#words, this.#on);
    this.element.hidden = true;
    this.#back.addEventListener("click", () => turn(Math.max(0, this.offset - size)));
    this.#on.addEventListener("click", () => turn(this.offset + size));
  }

  show(total) {
    const last = Math.min(total, this.offset + this.size);
    setText(this.#words, `${count(this.offset + 1)} to ${count(last)} of ${count(total)}`);
    this.#back.disabled = this.offset === 0;
    this.#on.disabled = last >= total;
    setHidden(this.element, total <= this.size && this.offset === 0);
  }
}

// Keep an element for everything that has a name, in the order of `wanted`.
function showKeyed(list, shown, wanted, make) {
  const names = new Set(wanted.map(({ name }) => name));
  for (const [name, one] of shown) {
    if (names.has(name)) continue;
    one.close();
    shown.delete(name);
  }
  wanted.forEach((each, place) => {
    if (!shown.has(each.name)) shown.set(each.name, make(each));
    const one = shown.get(each.name);
    one.show(each);
    if (list.children[place] !== one.element) list.insertBefore(one.element, list.children[place] ?? null);
  });
}

function drawStack(bar, jobs) {
  const total = Object.values(jobs).reduce((sum, number) => sum + number, 0);
  for (const [place, status] of Object.keys(LEVELS).entries()) {
    const part = bar.children[place] ?? bar.appendChild(element("span", { class: LEVELS[status] }));
    part.style.width = total ? `${(100 * (jobs[status] ?? 0)) / total}%` : "0";
  }
}

function tell(words) {
  setText(byId("jobs-note"), words);
}

function drawStatus(cell, { status }) {
  if (!cell.firstChild) cell.append(element("span"));
  setClass(cell.firstChild, `badge ${LEVELS[status] ?? "wait"}`);
  setText(cell.firstChild, (status ?? "nothing yet").toLowerCase());
}

const JOB_COLUMNS = [
  { key: "index", label: "Job", kind: "number", value: ({ index }) => index, text: ({ index }) => (index === null ? "the only one" : String(index)) },
  { key: "status", label: "Status", kind: "state", value: ({ status }) => status, draw: drawStatus },
  { key: "progress", label: "Progress", kind: "number", value: ({ progress }) => progress, text: ({ progress }) => (progress === null || progress === undefined ? "–" : `${Math.round(progress)} %`) },
  { key: "event", label: "Last event", text: ({ lastEventClass }) => lastEventClass ?? "–" },
  { key: "at", label: "At", value: ({ lastAt }) => lastAt, text: ({ lastAt }) => moment(isoSeconds(lastAt)) },
];
