// Shows /api/state as a table, once a second. Everything from outside is set as text, never as HTML.

const REFRESH_MS = 1000;
const body = document.getElementById("metrics");
const summary = document.getElementById("summary");
let lastAnswer = null;

function cell(text, className) {
  const td = document.createElement("td");
  td.textContent = text;
  if (className) td.className = className;
  return td;
}

function stateOf(metric) {
  if (metric.state !== "running") return [metric.state, metric.state === "failed" ? "bad" : "wait"];
  if (metric.result === "ok" && metric.sink_error) return ["lines wait", "wait"];
  if (metric.result === "ok" || !metric.result) return [metric.result ? "running" : "starting", metric.result ? "good" : "wait"];
  return [metric.result, "bad"];
}

function span(seconds) {
  if (seconds >= 7200) return `${Math.round(seconds / 3600)} h`;
  if (seconds >= 120) return `${Math.round(seconds / 60)} min`;
  return `${seconds >= 1 ? Math.round(seconds) : Number(seconds.toPrecision(1))} s`;
}

function row(metric, now) {
  const [word, className] = stateOf(metric);
  const next = metric.next_poll_at ? Math.max(0, metric.next_poll_at - now) : null;
  const tr = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = metric.metric;
  const place = document.createElement("div");
  place.className = "soft";
  place.textContent = `${metric.type} ${metric.instance}`;
  name.append(place);
  tr.append(
    name,
    cell(word, className),
    cell(span(metric.every_seconds), "number"),
    cell(next === null ? "–" : span(next), "number"),
    cell(metric.rows_total.toLocaleString(), "number"),
    cell(metric.lines_delivered.toLocaleString(), "number"),
    cell(metric.lines_waiting.toLocaleString(), metric.lines_waiting ? "number wait" : "number"),
    cell(metric.restarts, "number"),
    cell(metric.error || metric.sink_error || metric.last_end, "trouble"),
  );
  return tr;
}

function show(state) {
  document.getElementById("version").textContent = state.version;
  summary.textContent = state.ready ? `Ready: ${state.metrics.length} metrics run.` : `Not ready: ${state.reasons.join("; ")}`;
  summary.className = state.ready ? "good" : "bad";
  const now = Date.now() / 1000;
  body.replaceChildren(...state.metrics.map((metric) => row(metric, now)));
}

async function refresh() {
  try {
    const answer = await fetch("api/state", { cache: "no-store" });
    if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
    show(await answer.json());
    lastAnswer = Date.now();
  } catch (error) {
    const since = lastAnswer ? `; shown is what was true ${Math.round((Date.now() - lastAnswer) / 1000)} s ago` : "";
    summary.textContent = `No answer: ${error.message}${since}`;
    summary.className = "bad";
  }
  setTimeout(refresh, REFRESH_MS);
}

refresh();
