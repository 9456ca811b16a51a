// Locks of a SQream cluster by what is locked: who holds it, in which mode, since when, and with which statement.

import { element, setClass, setHidden, setText } from "./dom.js";
import { count } from "./format.js";
import { Grid } from "./grid.js";
import { isExclusive } from "./sqream.js";
import { drawSql, length, statusLevel } from "./statements.js";

export class LocksView {
  #summary = element("p", { class: "note" });
  #list = element("div", { class: "objects" });
  #objects = new Map(); // by name: {section, title, holders}
  #now;

  constructor(container, now) {
    this.#now = now;
    container.replaceChildren(this.#summary, this.#list);
  }

  // `statements` are those of the cluster, or null where nothing tells them.
  show(objects, statements, now, note) {
    const byStatement = new Map((statements ?? []).map((each) => [each.id, each]));
    const names = new Set(objects.map(({ name }) => name));
    for (const [name, { section }] of this.#objects) {
      if (names.has(name)) continue;
      section.remove();
      this.#objects.delete(name);
    }
    objects.forEach((locked, place) => this.#showObject(locked, place, byStatement, now));
    setText(this.#summary, `${summaryOf(objects)} ${note}`.trim());
  }

  tick(now) {
    for (const { grid } of this.#objects.values()) {
      for (const entry of grid.entries.values()) grid.paint(entry, now);
    }
  }

  #showObject(locked, place, byStatement, now) {
    if (!this.#objects.has(locked.name)) this.#objects.set(locked.name, makeObject(locked, this.#now));
    const { section, badge, grid } = this.#objects.get(locked.name);
    const exclusive = locked.holders.some(({ mode }) => isExclusive(mode));
    setClass(badge, `badge ${exclusive ? "warn" : "good"}`);
    setText(badge, exclusive ? "exclusive" : "shared");
    grid.show(withStatements(locked.holders, byStatement), now);
    if (this.#list.children[place] !== section) this.#list.insertBefore(section, this.#list.children[place] ?? null);
  }
}

function makeObject({ name, kind, title, purpose }, now) {
  const badge = element("span");
  const words = purpose ? `for ${purpose.toLowerCase()}` : "";
  const heading = element(
    "h3",
    { title: name },
    element("span", { class: "kind", text: kind }),
    element("span", { text: title }),
    element("span", { class: "soft", text: words }),
    badge,
  );
  const caption = element("caption", { class: "unseen", text: `Who holds ${name}` });
  const table = element("table", { class: "cards" }, caption);
  const grid = new Grid(table, { columns: COLUMNS, key: ({ key }) => key });
  table.addEventListener("sorted", () => grid.arrange(now()));
  return { section: element("section", {}, heading, element("div", { class: "scroll" }, table)), badge, grid };
}

function withStatements(holders, byStatement) {
  const sorted = [...holders].sort((one, other) => isExclusive(other.mode) - isExclusive(one.mode));
  return sorted.map((each, place) => ({
    ...each,
    key: `${each.id} ${each.mode} ${place}`,
    statement: byStatement.get(each.id) ?? null,
  }));
}

function drawMode(cell, { mode }) {
  if (!cell.firstChild) cell.append(element("span"));
  setClass(cell.firstChild, `badge ${isExclusive(mode) ? "warn" : "good"}`);
  setText(cell.firstChild, mode);
}

function drawStatement(cell, holder) {
  if (!cell.firstChild) {
    cell.append(element("span"), element("span"));
  }
  const [badge, sql] = cell.children;
  const status = holder.isOrphan ? "gone: orphaned lock" : (holder.statement?.status ?? "");
  setClass(badge, `badge ${holder.isOrphan ? "bad" : statusLevel(status)}`);
  setText(badge, status);
  setHidden(badge, status === "");
  drawSql(sql, { sql: holder.sql || (holder.statement?.sql ?? "") });
}

function summaryOf(objects) {
  const holders = objects.flatMap((locked) => locked.holders);
  if (holders.length === 0) return "Nothing is locked.";
  const exclusive = holders.filter(({ mode }) => isExclusive(mode)).length;
  const orphans = holders.filter(({ isOrphan }) => isOrphan).length;
  const parts = [
    `${count(holders.length)} locks on ${count(objects.length)} objects`,
    `${count(exclusive)} exclusive`,
    ...(orphans ? [`${count(orphans)} orphaned`] : []),
  ];
  return `${parts.join(", ")}.`;
}

const COLUMNS = [
  { key: "mode", label: "Mode", kind: "state", value: ({ mode }) => mode, draw: drawMode },
  {
    key: "held",
    label: "Held for",
    kind: "number",
    value: ({ since }, now) => since && now - since,
    text: ({ since, sinceText }, now) => (since === null ? `since ${sinceText}` : length(now - since)),
  },
  { key: "user", label: "User", text: ({ user }) => user },
  { key: "client", label: "Client", text: ({ statement }) => statement?.client ?? "–" },
  { key: "server", label: "Server", text: ({ server }) => server },
  { key: "id", label: "Statement id", kind: "number", value: ({ id }) => Number(id), text: ({ id }) => id },
  { key: "sql", label: "Statement", kind: "long", value: ({ sql }) => sql, draw: drawStatement },
];
