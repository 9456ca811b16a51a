// The table of all metrics: what is in trouble first, a filter, sorting; smooth also with a thousand of them.

import { COLUMNS } from "./columns.js";
import { byId, onFrame, setClass, setHidden, setText } from "./dom.js";
import { count } from "./format.js";
import { Grid } from "./grid.js";
import { healthOf, inTrouble, troubleOf } from "./health.js";

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
