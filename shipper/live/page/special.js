// Shows SQream's locks and statements as people read them, each joined with what the other metric knows.

import { Socket } from "./connection.js";
import { clock } from "./format.js";
import { LocksView } from "./locks.js";
import { NewestPoll } from "./polls.js";
import { kindOf, locksOf, LOCKS, STATEMENTS, statementsOf } from "./sqream.js";
import { StatementsView } from "./statements.js";

const TITLES = { [LOCKS]: "Locks", [STATEMENTS]: "Statements" };
const LINES_OF_THE_OTHER = 200;

export class SpecialView {
  #container;
  #state;
  #row = null;
  #kind = null;
  #poll = null;
  #view = null;
  #otherName = null;
  #otherPoll = null;
  #socket = null;

  constructor(container, state) {
    this.#container = container;
    this.#state = state;
  }

  // Take note of what the metric has; returns the title of its view, or null when it has none.
  follow(row, poll) {
    const kind = kindOf(row, poll.rows[0]);
    this.#row = row;
    this.#poll = poll;
    if (kind !== this.#kind) this.#begin(kind);
    if (kind) this.#followOther();
    return TITLES[kind] ?? null;
  }

  draw() {
    const now = this.#state.now();
    const [locks, statements] = this.#kind === LOCKS ? [this.#mine(), this.#other()] : [this.#other(), this.#mine()];
    const told = statements && statementsOf(statements.rows, statements.seconds);
    const objects = locks && locksOf(locks.rows, told?.zone ?? null);
    if (this.#kind === LOCKS) this.#view.show(objects, told?.statements ?? null, now, this.#note(told));
    else this.#view.show(told, objects, now, this.#note(told));
  }

  tick() {
    this.#view?.tick(this.#state.now());
  }

  close() {
    this.#begin(null);
    this.#row = this.#poll = null;
  }

  #begin(kind) {
    this.#stopOther();
    this.#kind = kind;
    const View = { [LOCKS]: LocksView, [STATEMENTS]: StatementsView }[kind];
    this.#view = View ? new View(this.#container, () => this.#state.now()) : null;
  }

  #followOther() {
    const name = this.#nameOfOther();
    if (name === this.#otherName) return;
    this.#stopOther();
    this.#otherName = name;
    if (name === null) return;
    const poll = new NewestPoll(() => this.#view && this.draw());
    const query = new URLSearchParams({ metric: name, last: LINES_OF_THE_OTHER });
    this.#otherPoll = poll;
    this.#socket = new Socket(`live?${query}`, { message: (message) => "line" in message && poll.take(message) });
  }

  #stopOther() {
    this.#socket?.close();
    this.#otherPoll?.close();
    this.#socket = this.#otherPoll = this.#otherName = null;
  }

  // The metric that tells the other half of the same server.
  #nameOfOther() {
    const wanted = this.#kind === LOCKS ? STATEMENTS : LOCKS;
    const { instance } = this.#row;
    const others = [...this.#state.rows.values()].filter((row) => row.instance === instance);
    return others.find((row) => kindOf(row, null) === wanted)?.metric ?? null;
  }

  #mine() {
    return { rows: this.#poll.overtakenBy(this.#row) ? [] : this.#poll.rows, seconds: this.#poll.seconds };
  }

  #other() {
    const row = this.#state.rows.get(this.#otherName);
    if (!this.#otherPoll || !row) return null;
    if (this.#otherPoll.overtakenBy(row)) return { rows: [], seconds: row.last_poll_at };
    return this.#otherPoll.seconds ? this.#otherPoll : null;
  }

  #note(told) {
    const at = this.#row.last_poll_at;
    const asOf = at ? `As of ${clock(at)}.` : "";
    if (this.#kind !== LOCKS || told) return asOf;
    return `${asOf} Statements and ages are shown when ${STATEMENTS} runs as well.`;
  }
}
