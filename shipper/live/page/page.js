// Puts the page together: what is known, what is looked at (said by the address), keys, the clock, and how fresh it is.

import { byId, onFrame, setAttribute, setClass, setHidden, setText } from "./dom.js";
import { clock, count, rate, span } from "./format.js";
import { inTrouble } from "./health.js";
import { JobsView } from "./jobs.js";
import { MetricView } from "./metric.js";
import { RunView, RunsView } from "./runs.js";
import { State } from "./state.js";
import { MetricsTable } from "./table.js";
import { Updates } from "./updates.js";

const TICK_MS = 1000;

const state = new State();
const views = {
  metrics: new MetricsTable(state),
  metric: new MetricView(state, announce),
  runs: new RunsView(),
  run: new RunView(),
  jobs: new JobsView(),
};
const updates = new Updates(state, changed);
let shown = null;
const leftAt = new Map(); // what had the focus in a view when it was left
let loadedVersion = null;
let drawnKind = "";

// What is looked at

function follow() {
  const [view, ...words] = viewOf(location.hash);
  const before = shown;
  if (before !== view) leave();
  shown = view;
  setHidden(view.section, false);
  markTabs();
  view.show(...words);
  if (before !== null && before !== view) arrive(view);
}

function leave() {
  if (shown?.section.contains(document.activeElement)) leftAt.set(shown, document.activeElement);
  for (const view of Object.values(views)) setHidden(view.section, true);
  shown?.hide();
  scrollTo(0, 0);
}

// Who goes on with the keyboard does so where the view begins, or where it was left.
function arrive(view) {
  const place = leftAt.get(view);
  const known = place?.isConnected && view.section.contains(place);
  (known ? place : (view.section.querySelector("h2[tabindex]") ?? byId("main"))).focus();
}

function viewOf(hash) {
  const [name, one, two] = hash.replace(/^#\/?/, "").split("/").map(decoded);
  if (name === "metric" && one) return [views.metric, one, two];
  if (name === "runs") return one ? [views.run, one] : [views.runs];
  if (name === "jobs") return [views.jobs];
  return [views.metrics];
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function markTabs() {
  const of = { metrics: ["metrics", "metric"], runs: ["runs", "run"], jobs: ["jobs"] };
  for (const [tab, names] of Object.entries(of)) {
    const current = names.some((name) => views[name] === shown);
    setAttribute(byId(`to-${tab}`), "aria-current", current ? "page" : "false");
  }
}

// What is new

function changed(names) {
  // The page belongs to the Shipper that served it; another one may speak otherwise.
  loadedVersion ??= state.version;
  if (state.version !== loadedVersion) return location.reload();
  views.metrics.changed(names);
  views.metric.changed(names);
  onFrame(drawSurroundings);
}

function drawSurroundings() {
  setText(byId("version"), state.version);
  setHidden(byId("to-runs"), !state.sections.runs);
  setHidden(byId("to-jobs"), !state.sections.jobs);
  const rows = [...state.rows.values()];
  drawTotals(rows);
  drawVerdict(rows);
  drawFreshness();
}

function drawTotals(rows) {
  const total = (key) => rows.reduce((sum, row) => sum + (row[key] ?? 0), 0);
  setText(byId("total-rate"), rate(total("rows_per_second")));
  for (const key of ["delivered", "waiting", "rejected", "dropped"]) {
    const number = total(`lines_${key}`);
    setText(byId(`total-${key}`), count(number));
    if (key !== "delivered") setClass(byId(`total-${key}`), number ? "warn" : "");
  }
}

function drawVerdict(rows) {
  const troubled = rows.filter(inTrouble).length;
  const reasons = state.ready ? "" : ` Not ready: ${state.reasons.join("; ")}.`;
  const words = troubled ? `${count(troubled)} of ${count(rows.length)} in trouble.` : wellWords(rows.length);
  setClass(byId("verdict"), troubled || !state.ready ? "bad" : "good");
  if (setText(byId("verdict"), words + reasons)) announce(words + reasons);
  const title = troubled ? `(${troubled}) Shipper` : "Shipper";
  if (document.title !== title) document.title = title;
}

function wellWords(number) {
  if (number === 0) return "No metrics run.";
  return number === 1 ? "The one metric is well." : `All ${count(number)} metrics are well.`;
}

// How fresh it is

function drawFreshness() {
  const { kind, since } = updates.status();
  const [level, words] = freshnessWords(kind, since);
  setClass(byId("connection"), `pill ${level}`);
  setText(byId("connection-words"), words);
  setHidden(byId("reload"), kind !== "locked");
  document.body.classList.toggle("stale", kind === "stale" || kind === "locked");
  if (kind === drawnKind) return;
  if (kind === "stale") announce(`No answer. Shown is what was true at ${clock(since)}.`);
  if (drawnKind === "stale" && kind !== "locked") announce("Connected again.");
  drawnKind = kind;
}

function freshnessWords(kind, since) {
  const ago = since === null ? "" : `${span(Date.now() / 1000 - since)} ago, at ${clock(since)}`;
  switch (kind) {
    case "live":
      return ["good", "Live"];
    case "asking":
      return ["good", "Live, asking every 2 s"];
    case "reconnecting":
      return ["wait", "Reconnecting…"];
    case "stale":
      return ["bad", `Stale: no answer, shown is what was true ${ago}`];
    case "locked":
      return ["bad", "A token is wanted."];
    default:
      return ["wait", "Connecting…"];
  }
}

function announce(words) {
  setText(byId("announcement"), words);
}

// The clock

function tick() {
  setTimeout(tick, TICK_MS - (Date.now() % TICK_MS));
  if (document.hidden) return;
  drawFreshness();
  if (updates.status().kind !== "stale") shown?.tick?.();
}

// Keys

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const typing = event.target.matches("input:not([type=checkbox])");
  if (event.key === "Escape") return escaped(event.target, typing);
  if (typing) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

// Clear the filter, leave it, go back: a step each time.
function escaped(target, typing) {
  if (typing && target.value) {
    target.value = "";
    target.dispatchEvent(new Event("input", { bubbles: true }));
  } else if (typing) target.blur();
  else if (shown === views.metric) location.hash = "#/";
  else if (shown === views.run) location.hash = "#/runs";
}

const KEYS = {
  "/": () => shown.section.querySelector("input[type=search]")?.focus(),
  "?": () => byId("keys").showModal(),
  p: () => shown === views.metric && views.metric.togglePause(),
};

addEventListener("hashchange", follow);
addEventListener("keydown", pressed);
byId("show-keys").addEventListener("click", () => byId("keys").showModal());
byId("reload").addEventListener("click", () => location.reload());
follow();
tick();
