// What the page knows of a run: the newest row of every metric, kept current by whole states and by changes.

const DURATIONS_KEPT = 60;
const CLOCK_TOLERANCE_SECONDS = 0.5;

export class State {
  version = "";
  ready = false;
  reasons = [];
  sections = { runs: false, jobs: false };
  rows = new Map();
  order = [];
  known = false;
  #ahead = 0;

  // The present moment by the service's clock, which may differ from ours.
  now() {
    return Date.now() / 1000 + this.#ahead;
  }

  // Take a whole state; returns the names of the metrics that differ.
  replace(state) {
    this.#note(state);
    const before = this.rows;
    this.version = state.version;
    this.sections = state.sections ?? this.sections;
    this.order = state.metrics.map((row) => row.metric);
    this.rows = new Map(state.metrics.map((row) => [row.metric, row]));
    this.known = true;
    return new Set([...this.order, ...before.keys()]);
  }

  // Take what changed since the last message; returns the names of those metrics.
  merge(update) {
    this.#note(update);
    const names = new Set(update.removed);
    for (const name of update.removed ?? []) this.rows.delete(name);
    for (const change of update.changed ?? []) {
      this.rows.set(change.metric, merged(this.rows.get(change.metric), change));
      names.add(change.metric);
    }
    if (update.order) this.order = update.order;
    return names;
  }

  #note({ at, ready, reasons }) {
    this.ready = ready;
    this.reasons = reasons;
    if (at === undefined) return;
    const ahead = at - Date.now() / 1000;
    // Messages take a moment that varies; following every one would make countdowns tremble.
    if (Math.abs(ahead - this.#ahead) > CLOCK_TOLERANCE_SECONDS) this.#ahead = ahead;
  }
}

function merged(row, change) {
  if (row === undefined) return change;
  const durations = [...(row.poll_seconds ?? []), ...(change.poll_seconds ?? [])];
  return { ...row, ...change, poll_seconds: durations.slice(-DURATIONS_KEPT) };
}
