// The columns of the table of all metrics: what stands in them, and what they sort by.

import { element, setAttribute, setClass, setText } from "./dom.js";
import { bytes, count, duration, rate, span } from "./format.js";
import { healthOf, inTrouble, isLate, troubleOf, untilNext } from "./health.js";
import { drawSparkline, sparkline } from "./sparkline.js";

function drawName(cell, row) {
  if (!cell.firstChild) {
    const link = element("a", { class: "open", href: `#/metric/${encodeURIComponent(row.metric)}` });
    cell.append(link, element("small"));
  }
  setText(cell.firstChild, row.metric);
  setText(cell.lastChild, `${row.type} ${row.instance}`);
}

function drawHealth(cell, row) {
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

export const COLUMNS = [
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

