// One metric's own view: its figures, labels, the rows of the newest poll, live lines, and SQream's statements and locks.

import { Socket } from "./connection.js";
import { byId, element, setAttribute, setClass, setHidden, setText } from "./dom.js";
import { bytes, count, duration, rate, span } from "./format.js";
import { healthOf, inTrouble, troubleOf, untilNext } from "./health.js";
import { Lines } from "./lines.js";
import { NewestPoll } from "./polls.js";
import { RowsTable } from "./rows.js";
import { drawSparkline, sparkline } from "./sparkline.js";
import { SpecialView } from "./special.js";

const LINES_AT_FIRST = 200;

export class MetricView {
  #state;
  #name = null;
  #asked = null; // the part that the address names
  #part = null; // the part that is shown
  #socket = null;
  #poll = null;
  #rows = new RowsTable();
  #lines;
  #special;
  #chart = sparkline();

  constructor(state, say) {
    this.#state = state;
    this.section = byId("metric-view");
    this.#lines = new Lines({ search: (text) => this.#listen(text), say });
    this.#special = new SpecialView(byId("part-special"), state);
  }

  show(name, part) {
    if (name !== this.#name) this.#open(name);
    this.#asked = part;
    this.#drawAll();
  }

  hide() {
    this.#close();
    this.#name = null;
  }

  changed(names) {
    const concerned = names.has(this.#name) || !this.row;
    if (this.#name !== null && concerned) this.#drawAll();
  }

  tick() {
    this.#drawFacts();
    this.#special.tick();
  }

  togglePause() {
    this.#lines.togglePause();
  }

  get row() {
    return this.#state.rows.get(this.#name);
  }

  #open(name) {
    this.#close();
    this.#name = name;
    this.#rows.clear();
    this.#lines.reset();
    byId("metric-labels").replaceChildren();
    this.#listen("");
  }

  #close() {
    this.#socket?.close();
    this.#poll?.close();
    this.#special.close();
  }

  // Lines that match, from now on; without a text they are also gathered into the rows of the newest poll.
  #listen(text) {
    this.#socket?.close();
    if (text === "" || this.#poll === null) this.#gather();
    const query = new URLSearchParams({ metric: this.#name, last: LINES_AT_FIRST });
    if (text) query.set("match", text);
    this.#socket = new Socket(`live?${query}`, {
      message: (message) => this.#take(message, text),
      open: () => this.#lines.opened(),
      lost: () => this.#lines.lost(),
      refused: (reason) => setText(byId("lines-count"), `No lines: ${reason}`),
    });
  }

  #gather() {
    this.#poll?.close();
    this.#poll = new NewestPoll(() => this.#drawRows());
  }

  #take(message, text) {
    this.#lines.take(message);
    if (!text && "line" in message) this.#poll.take(message);
  }

  #drawAll() {
    if (!this.row) return this.#drawMissing();
    this.#drawTitle();
    this.#drawFacts();
    drawLabels(byId("metric-labels"), this.row);
    this.#drawRows();
  }

  #drawMissing() {
    setText(byId("metric-name"), this.#name ?? "");
    const words = this.#state.known ? "There is no metric of this name." : "Waiting for the first answer…";
    setText(byId("metric-trouble"), words);
  }

  #drawTitle() {
    const { level, word } = healthOf(this.row);
    setText(byId("metric-name"), this.#name);
    setClass(byId("metric-health"), `badge ${level}`);
    setText(byId("metric-health"), word);
    const every = this.row.waits ? "" : `, every ${span(this.row.every_seconds)}`;
    const optional = this.row.required ? "" : ", not required";
    setText(byId("metric-place"), `${this.row.type} ${this.row.instance}${every}${optional}`);
    setText(byId("metric-trouble"), troubleOf(this.row));
    setClass(byId("metric-trouble"), `trouble ${inTrouble(this.row) ? level : "soft"}`);
  }

  #drawFacts() {
    if (!this.row) return;
    const facts = byId("metric-facts");
    if (!facts.firstChild) facts.append(...FACTS.map(([name]) => makeFact(name)));
    FACTS.forEach(([, text], place) => setText(facts.children[place].lastChild, text(this.row, this.#state.now())));
    this.#drawChart(facts);
  }

  #drawChart(facts) {
    const numbers = this.row.waits ? [] : (this.row.poll_seconds ?? []);
    const place = facts.children[FACTS.findIndex(([name]) => name === DURATION)];
    if (this.#chart.parentNode !== place) place.append(this.#chart);
    drawSparkline(this.#chart, numbers);
  }

  #drawRows() {
    if (!this.row) return;
    const kind = this.#special.follow(this.row, this.#poll);
    this.#drawParts(kind);
    if (this.#part === "rows") this.#rows.show(this.#poll, this.row);
    if (this.#part === "special") this.#special.draw();
  }

  #drawParts(kind) {
    const rows = ["rows", this.row.waits ? "Newest rows" : "Newest poll"];
    const parts = [...(kind ? [["special", kind]] : []), rows, ["lines", "Live lines"]];
    const known = parts.some(([part]) => part === this.#asked);
    const first = this.row.waits ? "lines" : parts[0][0];
    this.#part = known ? this.#asked : first;
    drawTabs(byId("metric-parts"), this.#name, parts, this.#part);
    for (const part of ["special", "rows", "lines"]) setHidden(byId(`part-${part}`), part !== this.#part);
  }
}

function drawTabs(nav, name, parts, chosen) {
  const wanted = parts.map(([part, label]) => `${name}/${part}/${label}`).join();
  if (nav.drawn !== wanted) {
    nav.drawn = wanted;
    nav.replaceChildren(
      ...parts.map(([part, label]) =>
        element("a", { href: `#/metric/${encodeURIComponent(name)}/${part}`, text: label, "data-part": part }),
      ),
    );
  }
  for (const link of nav.children) {
    setAttribute(link, "aria-current", link.dataset.part === chosen ? "page" : "false");
  }
}

function makeFact(name) {
  return element("div", {}, element("dt", { text: name }), element("dd"));
}

// Labels with one value each, then how many values the others have taken.
function drawLabels(container, row) {
  const fixed = Object.entries(row.labels ?? {}).map(([name, value]) => `${name}="${value}"`);
  const counted = Object.entries(row.label_values ?? {}).map(([name, values]) => ({ name, values }));
  const wanted = JSON.stringify([fixed, counted, row.streams, row.max_label_values]);
  if (container.drawn === wanted) return;
  container.drawn = wanted;
  container.replaceChildren(
    ...fixed.map((text) => element("code", { text })),
    ...counted.map(({ name, values }) => cardinality(name, values, row.max_label_values)),
    element("span", { class: "soft", text: row.streams === null ? "" : streamsText(row.streams) }),
  );
}

function cardinality(name, values, most) {
  const full = values >= most;
  const words = `${name}: ${count(values)} of ${count(most)} values${full ? ", further ones are no labels" : ""}`;
  const meter = element("meter", { min: 0, max: most, high: most * 0.8, optimum: 0, value: values, "aria-hidden": "true" });
  return element("span", { class: full ? "values warn" : "values" }, element("span", { text: words }), meter);
}

function streamsText(streams) {
  return streams === 1 ? "1 stream" : `${count(streams)} streams`;
}

const DURATION = "Poll took";

const FACTS = [
  ["Last poll", (row, now) => (row.last_poll_at ? `${span(now - row.last_poll_at)} ago` : "–")],
  ["Next poll", nextText],
  [DURATION, (row) => (row.waits ? "–" : duration(row.last_poll_seconds))],
  ["Rows, last poll", (row) => (row.waits ? "–" : count(row.rows_in_last_poll))],
  ["Rows/s", (row) => rate(row.rows_per_second)],
  ["Rows, in all", (row) => count(row.rows_total)],
  ["Delivered", (row) => count(row.lines_delivered)],
  ["Waiting", (row) => (row.lines_waiting ? `${count(row.lines_waiting)}, ${bytes(row.bytes_waiting)}` : "0")],
  ["Oldest waiting", (row) => (row.lines_waiting ? span(row.oldest_unsent_seconds) : "–")],
  ["Rejected", (row) => count(row.lines_rejected)],
  ["Dropped", (row) => count(row.lines_dropped)],
  ["Cursor behind", (row) => span(row.lag_seconds)],
  ["Restarts", (row) => count(row.restarts)],
  ["Process", (row) => (row.pid ? String(row.pid) : "–")],
];

function nextText(row, now) {
  const seconds = untilNext(row, now);
  if (seconds === null) return row.waits ? "when something comes" : "–";
  return seconds < 0 ? `due ${span(-seconds)} ago` : `in ${span(seconds)}`;
}
