// Gathers lines into the rows of the newest poll: those that came with the same read.

import { fieldsOf } from "./fields.js";

const SETTLE_MS = 200; // the lines of a poll come one by one; half of them would be a wrong answer
const MOST_ROWS = 1000;

export class NewestPoll {
  pollNs = "";
  rows = [];
  passedOver = 0;
  #timer = 0;

  // `changed()` is called when the rows of a newer poll have come.
  constructor(changed) {
    this.changed = changed;
  }

  take(message) {
    const newer = compareNs(message.poll_ns, this.pollNs);
    if (newer < 0) return;
    if (newer > 0) this.#begin(message.poll_ns);
    if (this.rows.length < MOST_ROWS) this.rows.push(fieldsOf(message.line));
    else this.passedOver += 1;
    this.#timer ||= setTimeout(() => this.#settled(), SETTLE_MS);
  }

  // Whether the metric's state says that a later poll brought nothing.
  overtakenBy(row) {
    const silent = row.result === "ok" && row.rows_in_last_poll === 0 && row.last_poll_at;
    return Boolean(silent) && row.last_poll_at > this.seconds;
  }

  get seconds() {
    return this.pollNs === "" ? 0 : Number(this.pollNs) / 1e9;
  }

  // After a reconnection the same lines come once more.
  restart() {
    this.pollNs = "";
  }

  close() {
    clearTimeout(this.#timer);
  }

  #begin(pollNs) {
    this.pollNs = pollNs;
    this.rows = [];
    this.passedOver = 0;
  }

  #settled() {
    this.#timer = 0;
    this.changed();
  }
}

// Numbers of nanoseconds are text, because they are too large for a number of JavaScript.
function compareNs(one, other) {
  return one.length - other.length || (one === other ? 0 : one < other ? -1 : 1);
}
