// The newest poll of a metric as a table with its columns.

import { byId, setText } from "./dom.js";
import { shownValue } from "./fields.js";
import { clock, count } from "./format.js";
import { Grid } from "./grid.js";

export class RowsTable {
  #grid = null;
  #drawn = "";
  #table = byId("rows");

  constructor() {
    this.#table.addEventListener("sorted", () => this.#grid?.arrange());
  }

  clear() {
    this.#grid = null;
    this.#table.replaceChildren(...(this.#table.caption ? [this.#table.caption] : []));
    setText(byId("rows-note"), "");
  }

  show(poll, row) {
    const rows = poll.overtakenBy(row) ? [] : poll.rows;
    const names = [...new Set(rows.flatMap((fields) => Object.keys(fields)))];
    if (names.length) this.#gridOf(names.map((name) => columnOf(name, rows))).show(rows.map((fields, place) => ({ place, fields })));
    else this.#grid?.show([]);
    setText(byId("rows-note"), noteOf(poll, row, rows));
  }

  // The grid there is, as long as the columns are the same.
  #gridOf(columns) {
    const drawn = columns.map(({ key, kind }) => `${key} ${kind}`).join("\n");
    if (!this.#grid || drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#grid = new Grid(this.#table, { columns, key: ({ place }) => place });
    }
    return this.#grid;
  }
}

function columnOf(name, rows) {
  const values = rows.map((fields) => fields[name]).filter((value) => value !== null && value !== undefined);
  return {
    key: name,
    label: name,
    kind: values.length && values.every((value) => typeof value === "number") ? "number" : "",
    value: ({ fields }) => fields[name],
    text: ({ fields }) => shownValue(fields[name]),
  };
}

function noteOf(poll, row, rows) {
  if (row.waits && rows.length) return `${count(rows.length)} rows, received at ${clock(poll.seconds)}.`;
  if (poll.overtakenBy(row)) return `The last poll, at ${clock(row.last_poll_at)}, had nothing to report.`;
  if (!rows.length) return "No rows yet.";
  const kept = poll.passedOver ? `, of which the first ${count(rows.length)} are shown` : "";
  const words = `${count(rows.length + poll.passedOver)} rows of the poll at ${clock(poll.seconds)}${kept}.`;
  return row.result && row.result !== "ok" ? `${words} Polls after it failed.` : words;
}
