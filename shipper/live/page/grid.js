// Draws keyed rows as a table that sorts: touches only cells that changed, and moves rows only when their order did.

import { element, setAttribute, setClass, setHidden, setText } from "./dom.js";

// A column has `key`, `label`, and `text(row, now)` or `draw(cell, row, now)`; it may have `value(row, now)` to sort
// by, `tone(row, now)`, `kind` ("number", "long", "name") and `hint`.
export class Grid {
  entries = new Map();
  #columns;
  #key;
  #groups;
  #groupOf;
  #bodies = new Map();
  #sort;
  #wanted = () => true;

  constructor(table, { columns, key, groups = [{ id: "", label: "" }], groupOf = () => "", sort = null }) {
    this.table = table;
    this.#columns = columns;
    this.#key = key;
    this.#groups = groups;
    this.#groupOf = groupOf;
    this.#sort = sort;
    this.#build();
  }

  // Show exactly these rows.
  show(rows, now) {
    this.put(rows);
    for (const entry of this.entries.values()) this.paint(entry, now);
    this.arrange(now);
  }

  // Keep exactly these rows, in this order, without drawing; returns the entries that are new.
  put(rows) {
    const before = this.entries;
    const added = [];
    this.entries = new Map();
    for (const row of rows) {
      const key = this.#key(row);
      const entry = before.get(key) ?? this.#made(key);
      if (!before.delete(key)) added.push(entry);
      entry.row = row;
      this.entries.set(key, entry);
    }
    for (const gone of before.values()) gone.element.remove();
    return added;
  }

  paint(entry, now) {
    this.#columns.forEach((column, index) => paintCell(entry.cells[index], column, entry.row, now));
  }

  // Show only rows for which `wanted(row)` is true, from the next arrangement on.
  filter(wanted) {
    this.#wanted = wanted;
  }

  // Bring rows into their groups and their order; returns how many are shown.
  arrange(now) {
    const focused = this.table.contains(document.activeElement) ? document.activeElement : null;
    const members = new Map(this.#groups.map(({ id }) => [id, []]));
    for (const entry of this.entries.values()) members.get(this.#groupOf(entry.row)).push(entry);
    let shown = 0;
    for (const group of this.#groups) shown += this.#arrangeGroup(group, members.get(group.id), now);
    if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true });
    return shown;
  }

  #arrangeGroup(group, entries, now) {
    const { body, heading } = this.#bodies.get(group.id);
    const sorted = this.#sorted(entries, now);
    reorder(body, sorted.map((entry) => entry.element), heading);
    let shown = 0;
    for (const entry of sorted) {
      const wanted = this.#wanted(entry.row);
      setHidden(entry.element, !wanted);
      shown += wanted ? 1 : 0;
    }
    if (heading) setText(heading.firstChild, `${group.label} (${shown})`);
    setHidden(body, shown === 0);
    return shown;
  }

  #sorted(entries, now) {
    const column = this.#columns.find(({ key }) => key === this.#sort?.key);
    if (!column) return entries;
    const value = column.value ?? column.text;
    const sign = this.#sort.descending ? -1 : 1;
    const valued = entries.map((entry) => ({ entry, value: value(entry.row, now) }));
    valued.sort((one, other) => compare(one.value, other.value, sign));
    return valued.map(({ entry }) => entry);
  }

  #made(key) {
    const cells = this.#columns.map((column) => makeCell(column));
    return { key, row: null, cells, element: element("tr", { role: "row" }, ...cells) };
  }

  #build() {
    const heads = this.#columns.map((column) => this.#makeHead(column));
    const bodies = this.#groups.map((group) => this.#makeBody(group));
    const caption = this.table.caption ? [this.table.caption] : [];
    const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads));
    this.table.setAttribute("role", "table");
    this.table.replaceChildren(...caption, head, ...bodies);
    this.#markSorted();
  }

  #makeHead(column) {
    const button = element("button", { type: "button", text: column.label, title: column.hint ?? "" });
    button.addEventListener("click", () => this.#sortBy(column.key));
    return element(
      "th",
      { scope: "col", role: "columnheader", class: column.kind ?? "", "data-key": column.key },
      button,
    );
  }

  #makeBody({ id, label }) {
    const body = element("tbody", { role: "rowgroup" });
    const span = { scope: "rowgroup", role: "rowheader", colspan: this.#columns.length };
    const heading = label
      ? element("tr", { class: "group", role: "row" }, element("th", { ...span, text: label }))
      : null;
    if (heading) body.append(heading);
    this.#bodies.set(id, { body, heading });
    return body;
  }

  // The same column again turns the order round, and the third time lets it go.
  #sortBy(key) {
    if (this.#sort?.key !== key) this.#sort = { key, descending: false };
    else this.#sort = this.#sort.descending ? null : { key, descending: true };
    this.#markSorted();
    this.table.dispatchEvent(new CustomEvent("sorted"));
  }

  #markSorted() {
    for (const head of this.table.tHead.rows[0].cells) {
      const order = this.#sort?.descending ? "descending" : "ascending";
      setAttribute(head, "aria-sort", head.dataset.key === this.#sort?.key ? order : "none");
    }
  }
}

function makeCell(column) {
  const attributes = { class: column.kind ?? "", "data-label": column.label };
  if (column.kind === "name") return element("th", { ...attributes, scope: "row", role: "rowheader" });
  return element("td", { ...attributes, role: "cell" });
}

function paintCell(cell, column, row, now) {
  if (column.draw) column.draw(cell, row, now);
  else setText(cell, column.text(row, now));
  if (column.tone) setClass(cell, `${column.kind ?? ""} ${column.tone(row, now)}`.trim());
}

// What is not known stands last in either direction.
function compare(one, other, sign) {
  const lacks = (value) => value === null || value === undefined || value === "";
  if (lacks(one) || lacks(other)) return Number(lacks(one)) - Number(lacks(other));
  if (typeof one === "number" && typeof other === "number") return sign * (one - other);
  return sign * String(one).localeCompare(String(other), "en", { numeric: true });
}

function reorder(body, wanted, heading) {
  let place = heading ? heading.nextElementSibling : body.firstElementChild;
  for (const row of wanted) {
    if (row === place) {
      place = place.nextElementSibling;
    } else if (place && row === place.nextElementSibling) {
      // One row left its place: moving it alone spares all that follow.
      const moved = place;
      place = row.nextElementSibling;
      body.append(moved);
    } else {
      body.insertBefore(row, place);
    }
  }
}
