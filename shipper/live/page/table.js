// The table of all metrics: what is in trouble first, a filter, sorting; smooth also with a thousand of them.

import { byId, element, onFrame, setAttribute, setClass, setHidden, setText } from "./dom.js";
import { bytes, count, duration, rate, span } from "./format.js";
import { Grid } from "./grid.js";
import { healthOf, inTrouble, isLate, troubleOf, untilNext } from "./health.js";
import { drawSparkline, sparkline } from "./sparkline.js";

const BUDGET_MS = 6; // for rows that nobody sees, in each frame
const POINTED_MS = 2000; // rows keep their places for so long after the pointer moved over them
const TROUBLE = "trouble";
const WELL = "well";

export class MetricsTable {
  #state;
  #grid;
  #waiting = new Set(); // entries to paint
  #seen = new WeakSet(); // elements that are on the screen
  #entryOf = new WeakMap();
  #unarranged = true;
  #pointedAt = -Infinity;
  #shown = true;

  constructor(state) {
    this.#state = state;
    this.section = byId("metrics-view");
    this.#grid = new Grid(byId("metrics"), {
      columns: COLUMNS,
      key: (row) => row.metric,
      groups: [
        { id: TROUBLE, label: "In trouble" },
        { id: WELL, label: "Well" },
      ],
      groupOf: (row) => (byId("trouble-first").checked && inTrouble(row) ? TROUBLE : WELL),
    });
    this.#watchScreen();
    this.#listen();
  }

  show() {
    this.#shown = true;
    this.#rearrange();
  }

  hide() {
    this.#shown = false;
  }

  // Take note of metrics that changed; they are drawn in the next frames.
  changed(names) {
    const { rows, order } = this.#state;
    const added = this.#grid.put(order.map((name) => rows.get(name)).filter(Boolean));
    for (const entry of added) {
      this.#entryOf.set(entry.element, entry);
      this.#observer.observe(entry.element);
    }
    for (const name of names) this.#waiting.add(this.#grid.entries.get(name));
    this.#waiting.delete(undefined);
    this.#rearrange();
  }

  // A second went by: moments are told anew, where somebody sees them.
  tick() {
    for (const entry of this.#grid.entries.values()) {
      if (this.#seen.has(entry.element)) this.#waiting.add(entry);
    }
    this.#rearrange();
  }

  #rearrange() {
    this.#unarranged = true;
    if (this.#shown) onFrame(this.#draw);
  }

  #draw = () => {
    if (!this.#shown) return;
    const now = this.#state.now();
    this.#paint(now);
    if (this.#unarranged && performance.now() - this.#pointedAt > POINTED_MS) {
      this.#unarranged = false;
      this.#tellCount(this.#grid.arrange(now));
    }
  };

  // Everything on the screen, and of the rest as much as time allows.
  #paint(now) {
    const started = performance.now();
    for (const entry of this.#waiting) if (this.#seen.has(entry.element)) this.#paintOne(entry, now);
    for (const entry of this.#waiting) {
      if (performance.now() - started > BUDGET_MS) return onFrame(this.#draw);
      this.#paintOne(entry, now);
    }
  }

  #paintOne(entry, now) {
    this.#waiting.delete(entry);
    this.#grid.paint(entry, now);
    setClass(entry.element, `row-${healthOf(entry.row).level}`);
  }

  #observer = new IntersectionObserver((sights) => {
    for (const { target, isIntersecting } of sights) {
      if (!isIntersecting) {
        this.#seen.delete(target);
        continue;
      }
      this.#seen.add(target);
      this.#waiting.add(this.#entryOf.get(target));
    }
    onFrame(this.#draw);
  }, { rootMargin: "100px" });

  #watchScreen() {
    this.#grid.table.addEventListener("pointermove", () => (this.#pointedAt = performance.now()));
    this.#grid.table.addEventListener("pointerleave", () => (this.#pointedAt = -Infinity));
  }

  #listen() {
    const filter = byId("filter");
    filter.addEventListener("input", () => this.#filterBy(filter.value));
    this.#grid.table.addEventListener("sorted", () => this.#arrangeNow());
    byId("trouble-first").addEventListener("change", () => this.#arrangeNow());
    this.#grid.table.addEventListener("keydown", (event) => this.#walk(event));
  }

  #filterBy(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.#grid.filter((row) => {
      const hay = searchable(row);
      return words.every((word) => hay.includes(word));
    });
    this.#arrangeNow();
  }

  // What somebody asked for is done also under the pointer.
  #arrangeNow() {
    this.#pointedAt = -Infinity;
    this.#rearrange();
  }

  #tellCount(shown) {
    const all = this.#grid.entries.size;
    setText(byId("shown"), shown === all ? "" : `${count(shown)} of ${count(all)} shown`);
    setHidden(byId("no-metrics"), shown > 0 || !this.#state.known);
    setText(byId("no-metrics"), all === 0 ? "No metrics run." : "No metric matches the filter.");
  }

  // Arrow keys go from metric to metric.
  #walk(event) {
    const links = [...this.#grid.table.querySelectorAll("tr:not([hidden]) a.open")];
    const place = links.indexOf(document.activeElement);
    const goal = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: links.length - 1 }[event.key];
    if (place < 0 || goal === undefined || !links[goal]) return;
    event.preventDefault();
    links[goal].focus();
  }
}

function searchable(row) {
  const { word } = healthOf(row);
  const labels = Object.entries(row.labels ?? {}).flat();
  return [row.metric, row.type, row.instance, word, troubleOf(row), ...labels].join(" ").toLowerCase();
}

function drawName(cell, row) {
  if (!cell.firstChild) {
    const link = element("a", { class: "open", href: `#/metric/${encodeURIComponent(row.metric)}` });
    cell.append(link, element("small"));
  }
  setText(cell.firstChild, row.metric);
  setText(cell.lastChild, `${row.type} ${row.instance}`);
}

export function drawHealth(cell, row) {
  if (!cell.firstChild) cell.append(element("span"));
  const { level, word } = healthOf(row);
  setClass(cell.firstChild, `badge ${level}`);
  setText(cell.firstChild, word);
}

function drawDuration(cell, row) {
  if (!cell.firstChild) cell.append(sparkline(), element("span"));
  const numbers = row.waits ? [] : (row.poll_seconds ?? []);
  setText(cell.lastChild, row.waits ? "–" : duration(row.last_poll_seconds));
  if (cell.drawn === numbers) return;
  cell.drawn = numbers;
  drawSparkline(cell.firstChild, numbers);
}

function drawTwo(cell, upper, lower) {
  if (!cell.firstChild) cell.append(element("span"), element("small"));
  setText(cell.firstChild, upper);
  setText(cell.lastChild, lower);
}

function drawDelivered(cell, row) {
  const lost = [
    row.lines_rejected ? `${count(row.lines_rejected)} rejected` : "",
    row.lines_dropped ? `${count(row.lines_dropped)} dropped` : "",
  ];
  drawTwo(cell, count(row.lines_delivered), lost.filter(Boolean).join(", "));
}

function drawWaiting(cell, row) {
  const old = row.oldest_unsent_seconds ? `, ${span(row.oldest_unsent_seconds)} old` : "";
  drawTwo(cell, count(row.lines_waiting), row.lines_waiting ? `${bytes(row.bytes_waiting)}${old}` : "");
}

function drawTrouble(cell, row) {
  if (!cell.firstChild) cell.append(element("div"));
  const words = troubleOf(row);
  setText(cell.firstChild, words);
  setAttribute(cell, "title", words);
  setClass(cell.firstChild, inTrouble(row) ? "" : "past");
}

function nextText(row, now) {
  const seconds = untilNext(row, now);
  if (seconds === null) return "–";
  if (isLate(row, now)) return `${span(-seconds)} late`;
  return seconds < 0.5 ? "now" : `in ${span(seconds)}`;
}

const WORST_FIRST = ["bad", "warn", "wait", "good"];

const COLUMNS = [
  { key: "metric", label: "Metric", kind: "name", value: (row) => row.metric, draw: drawName },
  {
    key: "state",
    label: "State",
    kind: "state",
    value: (row) => `${WORST_FIRST.indexOf(healthOf(row).level)} ${healthOf(row).word}`,
    draw: drawHealth,
  },
  {
    key: "last",
    label: "Last poll",
    kind: "number",
    hint: "How long ago the last poll ended, or the last message came",
    value: (row, now) => (row.last_poll_at ? now - row.last_poll_at : null),
    text: (row, now) => (row.last_poll_at ? `${span(now - row.last_poll_at)} ago` : "–"),
  },
  {
    key: "next",
    label: "Next",
    kind: "number",
    hint: "When the next poll is due",
    value: untilNext,
    text: nextText,
    tone: (row, now) => (isLate(row, now) ? "warn" : ""),
  },
  {
    key: "duration",
    label: "Took",
    kind: "number wide",
    hint: "How long the last polls took",
    value: (row) => row.last_poll_seconds,
    draw: drawDuration,
  },
  {
    key: "rate",
    label: "Rows/s",
    kind: "number",
    hint: "Over about the last ten seconds",
    value: (row) => row.rows_per_second,
    text: (row) => rate(row.rows_per_second),
  },
  {
    key: "delivered",
    label: "Delivered",
    kind: "number",
    hint: "Lines that sinks took; below it lines that were rejected or dropped",
    value: (row) => row.lines_delivered,
    tone: (row) => (row.lines_rejected || row.lines_dropped ? "warn" : ""),
    draw: drawDelivered,
  },
  {
    key: "waiting",
    label: "Waiting",
    kind: "number",
    hint: "Lines that no sink took yet, on disk and in memory; their bytes, and the age of the oldest",
    value: (row) => row.lines_waiting,
    tone: (row) => (row.lines_waiting ? "warn" : ""),
    draw: drawWaiting,
  },
  {
    key: "lag",
    label: "Lag",
    kind: "number",
    hint: "How far the cursor is behind the newest row",
    value: (row) => row.lag_seconds,
    text: (row) => span(row.lag_seconds),
  },
  {
    key: "restarts",
    label: "Restarts",
    kind: "number",
    hint: "How often the worker was started again",
    value: (row) => row.restarts,
    text: (row) => count(row.restarts),
    tone: (row) => (row.restarts ? "warn" : ""),
  },
  { key: "trouble", label: "Last trouble", kind: "long", value: troubleOf, draw: drawTrouble },
];

