// Runs of Time Frames: all of them, and one with its rate and its statuses.

import { byId, element, setText } from "./dom.js";
import { bytes, count, isoSeconds, moment, rate } from "./format.js";
import { Grid } from "./grid.js";
import { drawPlot } from "./plot.js";
import { Refresh } from "./refresh.js";

const MOST_RUNS = 50;

export class RunsView {
  #grid;
  #refresh;

  constructor() {
    this.section = byId("runs-view");
    this.#grid = new Grid(byId("runs"), { columns: COLUMNS, key: ({ run_number: number }) => number });
    byId("runs").addEventListener("sorted", () => this.#grid.arrange());
    this.#refresh = new Refresh({ show: (answer) => this.#show(answer), fail: tellIn("runs-note") });
  }

  show() {
    this.#refresh.start(`api/runs?limit=${MOST_RUNS}`);
  }

  hide() {
    this.#refresh.stop();
  }

  #show({ runs }) {
    this.#grid.show(runs);
    const words = runs.length < MOST_RUNS ? `${count(runs.length)} runs.` : `The newest ${count(runs.length)} runs.`;
    setText(byId("runs-note"), runs.length ? words : "No run is known yet.");
  }
}

export class RunView {
  #number = null;
  #refresh;

  constructor() {
    this.section = byId("run-view");
    this.#refresh = new Refresh({ show: (run) => this.#show(run), fail: tellIn("run-note") });
  }

  show(number) {
    if (number !== this.#number) this.#clear();
    this.#number = number;
    setText(byId("run-name"), `Run ${number}`);
    this.#refresh.start(`api/runs/${encodeURIComponent(number)}`);
  }

  hide() {
    this.#refresh.stop();
  }

  #clear() {
    for (const id of ["run-facts", "run-plot", "run-statuses"]) {
      byId(id).replaceChildren();
      byId(id).drawn = null;
    }
    setText(byId("run-plot-words"), "");
    setText(byId("run-note"), "Asking…");
  }

  #show(run) {
    setText(byId("run-note"), "");
    const facts = byId("run-facts");
    if (!facts.firstChild) facts.append(...FACTS.map(([name]) => factOf(name)));
    FACTS.forEach(([, text], place) => setText(facts.children[place].lastChild, text(run)));
    drawPlot(byId("run-plot"), byId("run-plot-words"), run.rate);
    drawShares(byId("run-statuses"), run.by_status);
  }
}

function tellIn(id) {
  return (words) => setText(byId(id), `No answer: ${words}.`);
}

function factOf(name) {
  return element("div", {}, element("dt", { text: name }), element("dd"));
}

function drawShares(list, byStatus) {
  const total = Object.values(byStatus).reduce((sum, number) => sum + number, 0);
  const sorted = Object.entries(byStatus).sort(([, one], [, other]) => other - one);
  while (list.children.length > sorted.length) list.lastChild.remove();
  sorted.forEach(([status, number], place) => {
    const item = list.children[place] ?? list.appendChild(shareOf());
    setText(item.children[0], status);
    setText(item.children[1], `${count(number)} (${rate((100 * number) / total)} %)`);
    item.children[2].firstChild.style.width = `${(100 * number) / total}%`;
  });
}

function shareOf() {
  const track = element("span", { class: "track", "aria-hidden": "true" }, element("span"));
  return element("li", {}, element("span"), element("span", { class: "number" }), track);
}

function drawNumber(cell, { run_number: number }) {
  if (!cell.firstChild) cell.append(element("a", { class: "open", href: `#/runs/${number}`, text: String(number) }));
}

function lasted({ first_at: first, last_at: last }) {
  return first && last ? isoSeconds(last) - isoSeconds(first) : null;
}

function perSecond(run) {
  const seconds = lasted(run);
  return seconds ? run.total_tfs / seconds : null;
}

const COLUMNS = [
  { key: "run", label: "Run", kind: "name", value: (run) => run.run_number, draw: drawNumber },
  { key: "start", label: "Began", value: (run) => run.start_time, text: (run) => moment(isoSeconds(run.start_time)) },
  { key: "tfs", label: "Time Frames", kind: "number", value: (run) => run.total_tfs, text: (run) => count(run.total_tfs) },
  { key: "bytes", label: "Size", kind: "number", value: (run) => run.total_bytes, text: (run) => bytes(run.total_bytes) },
  { key: "rate", label: "TF/s", kind: "number", hint: "Between the first and the last", value: perSecond, text: (run) => rate(perSecond(run)) },
  { key: "first", label: "First", value: (run) => run.first_at, text: (run) => moment(isoSeconds(run.first_at)) },
  { key: "last", label: "Last", value: (run) => run.last_at, text: (run) => moment(isoSeconds(run.last_at)) },
];

const FACTS = [
  ["Began", (run) => moment(isoSeconds(run.start_time))],
  ["Time Frames", (run) => count(run.total_tfs)],
  ["Size", (run) => bytes(run.total_bytes)],
  ["First", (run) => moment(isoSeconds(run.first_at))],
  ["Last", (run) => moment(isoSeconds(run.last_at))],
  ["Per second", (run) => rate(perSecond(run))],
];
