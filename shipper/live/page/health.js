// What a metric is at, in a word and a level: good, wait (not yet), warn and bad, which are trouble.

const BEHIND_SECONDS = 10;
const LATE_SECONDS = 2;

export function healthOf(row) {
  if (row.state === "failed") return { level: "bad", word: "given up" };
  if (row.state !== "running") return notRunning(row);
  if (row.result === "waiting") return { level: "warn", word: "no room" };
  if (row.result && row.result !== "ok") return { level: "bad", word: row.result };
  if (row.sink_error) return { level: "warn", word: "lines wait" };
  if (row.oldest_unsent_seconds > BEHIND_SECONDS) return { level: "warn", word: "behind" };
  if (row.waits) return { level: "good", word: "listening" };
  return row.result ? { level: "good", word: "running" } : { level: "wait", word: "first poll" };
}

function notRunning(row) {
  const again = row.restarts > 0 || row.last_end;
  return { level: again ? "warn" : "wait", word: row.state };
}

export function inTrouble(row) {
  const { level } = healthOf(row);
  return level === "bad" || level === "warn";
}

// What went wrong last, in words; an end that was overcome is told as past.
export function troubleOf(row) {
  const now = row.error || row.sink_error;
  if (now) return now;
  if (!row.last_end) return "";
  return row.state === "running" ? `before: ${row.last_end}` : row.last_end;
}

// Seconds until the next poll, negative when it is overdue; null where nothing is polled.
export function untilNext(row, now) {
  return row.waits || !row.next_poll_at ? null : row.next_poll_at - now;
}

export function isLate(row, now) {
  const seconds = untilNext(row, now);
  return seconds !== null && seconds < -LATE_SECONDS;
}
