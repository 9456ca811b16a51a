// The statements of a SQream cluster: what runs, since when, for whom, and how many locks it holds.

import { element, setAttribute, setClass, setText } from "./dom.js";
import { count, duration, span } from "./format.js";
import { Grid } from "./grid.js";

const LEVELS = { executing: "good", "in queue": "warn", preparing: "wait", initializing: "wait", stopping: "bad" };
const STATUSES = ["executing", "in queue", "preparing", "initializing", "stopping"];

export class StatementsView {
  #summary = element("p", { class: "note" });
  #table = element("table", { class: "cards" }, element("caption", { class: "unseen", text: "Statements" }));
  #grid;
  #locks = new Map();
  #locksKnown = false;

  constructor(container, now) {
    this.#grid = new Grid(this.#table, {
      columns: this.#columns(),
      key: (statement) => statement.key,
      sort: { key: "runs", descending: true },
      groups: [
        { id: "others", label: "Statements" },
        { id: "monitor", label: "Those of monitors" },
      ],
      groupOf: ({ isMonitor }) => (isMonitor ? "monitor" : "others"),
    });
    this.#table.addEventListener("sorted", () => this.#grid.arrange(now()));
    container.replaceChildren(this.#summary, element("div", { class: "scroll" }, this.#table));
  }

  // `objects` are the locks, or null where nothing tells them.
  show({ statements }, objects, now, note) {
    this.#locksKnown = objects !== null;
    this.#locks = locksPerStatement(objects ?? []);
    this.#grid.show(withKeys(statements), now);
    setText(this.#summary, `${summaryOf(statements)}. ${note}`.trim());
  }

  tick(now) {
    for (const entry of this.#grid.entries.values()) this.#grid.paint(entry, now);
  }

  #columns() {
    return [
      { key: "status", label: "Status", kind: "state", value: ({ status }) => status, draw: drawStatus },
      {
        key: "runs",
        label: "Runs for",
        kind: "number",
        value: ({ startedAt }, now) => startedAt && now - startedAt,
        text: ({ startedAt, startedText }, now) => (startedAt === null ? startedText : length(now - startedAt)),
      },
      {
        key: "since",
        label: "In status",
        kind: "number",
        value: ({ statusAt }, now) => statusAt && now - statusAt,
        text: ({ statusAt }, now) => (statusAt === null ? "–" : length(now - statusAt)),
      },
      { key: "user", label: "User", text: ({ user }) => user },
      { key: "client", label: "Client", text: ({ client }) => client },
      { key: "service", label: "Service", text: ({ service }) => service },
      { key: "instance", label: "Worker", text: ({ instance }) => instance || "none yet" },
      { key: "id", label: "Id", kind: "number", value: ({ id }) => Number(id), text: ({ id }) => id },
      {
        key: "locks",
        label: "Locks",
        kind: "number",
        value: ({ id }) => this.#locks.get(id) ?? 0,
        text: ({ id }) => (this.#locksKnown ? count(this.#locks.get(id) ?? 0) : "–"),
      },
      { key: "sql", label: "Statement", kind: "long", value: ({ sql }) => sql, draw: drawSql },
    ];
  }
}

// A statement as code, opened to its whole length by a click or Enter.
export function drawSql(cell, { sql }) {
  if (!cell.firstChild) {
    const button = element("button", { type: "button", class: "sql", "aria-expanded": "false" }, element("code"));
    button.addEventListener("click", () => {
      setAttribute(button, "aria-expanded", String(button.getAttribute("aria-expanded") === "false"));
    });
    cell.append(button);
  }
  setText(cell.firstChild.firstChild, sql.replace(/\s+/g, " "));
}

export function statusLevel(status) {
  return LEVELS[status.toLowerCase()] ?? "wait";
}

export function length(seconds) {
  return seconds < 120 ? span(seconds) : duration(seconds);
}

function drawStatus(cell, { status }) {
  if (!cell.firstChild) cell.append(element("span"));
  setClass(cell.firstChild, `badge ${statusLevel(status)}`);
  setText(cell.firstChild, status || "unknown");
}

// One id can stand in several rows while a statement moves between workers.
function withKeys(statements) {
  const seen = new Map();
  return statements.map((each) => {
    const times = seen.get(each.id) ?? 0;
    seen.set(each.id, times + 1);
    return { ...each, key: `${each.id} ${times}` };
  });
}

function locksPerStatement(objects) {
  const held = new Map();
  for (const { holders } of objects) {
    for (const { id } of holders) held.set(id, (held.get(id) ?? 0) + 1);
  }
  return held;
}

function summaryOf(statements) {
  const counts = new Map();
  for (const { status } of statements) {
    const word = status.toLowerCase() || "unknown";
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const known = STATUSES.filter((status) => counts.has(status));
  const others = [...counts.keys()].filter((status) => !STATUSES.includes(status));
  return [...known, ...others].map((status) => `${counts.get(status)} ${status}`).join(", ") || "No statements";
}
