// Reads what SQreamDB tells of statements and locks, whichever way a release spells it; draws nothing.

const OTHER_SPELLINGS = {
  instance: "instanceid",
  stmtid: "statementid",
  stmtstring: "statementstring",
  stmtstarttime: "statementstarttime",
};
const DAY_FIRST = /^(\d\d)-(\d\d)-(\d{4}) (\d\d):(\d\d):(\d\d)/;
const YEAR_FIRST = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)/;
const ZONE_STEP_SECONDS = 900;
const CALL_OF_A_MONITOR = /^\s*select\s+(show|get|reset)_\w+\s*\(/i;

export const LOCKS = "show_locks";
export const STATEMENTS = "show_server_status";

// Which of the two a metric is, by its name or by the columns of its rows; null for any other.
export function kindOf(row, fields) {
  if (row.type !== "sqream") return null;
  const name = row.function ?? row.metric;
  if (name === LOCKS || name === STATEMENTS) return name;
  const columns = fields ? plain(fields) : {};
  if ("lockedobject" in columns) return LOCKS;
  return "statementstatus" in columns ? STATEMENTS : null;
}

// `pollSeconds` is when the rows were read: it tells the server's zone, because the poll itself is among them.
export function statementsOf(rows, pollSeconds) {
  const plains = rows.map(plain);
  const zone = zoneOf(plains, pollSeconds);
  return { zone, statements: plains.map((fields) => statement(fields, zone)) };
}

function statement(fields, zone) {
  return {
    id: text(fields.statementid),
    status: text(fields.statementstatus),
    startedText: text(fields.statementstarttime),
    startedAt: moment(fields.statementstarttime, zone),
    statusAt: moment(fields.statementstatusstart, zone),
    user: text(fields.username),
    client: text(fields.clientip),
    service: text(fields.service),
    instance: text(fields.instanceid),
    server: place(fields.serverip, fields.serverport),
    database: text(fields.databasename),
    sql: text(fields.statement),
    isMonitor: CALL_OF_A_MONITOR.test(text(fields.statement)),
  };
}

// Locks by locked object; `zone` comes from the statements, and is null where nobody knows it.
export function locksOf(rows, zone) {
  const objects = new Map();
  for (const fields of rows.map(plain)) {
    const name = text(fields.lockedobject);
    if (!objects.has(name)) objects.set(name, { name, ...objectOf(name), holders: [] });
    objects.get(name).holders.push(holder(fields, zone));
  }
  return [...objects.values()].sort(worstFirst);
}

function holder(fields, zone) {
  return {
    id: text(fields.statementid),
    mode: text(fields.lockmode),
    user: text(fields.username),
    server: place(fields.server, fields.port),
    sinceText: text(fields.lockstarttime),
    since: moment(fields.lockstarttime, zone),
    sql: text(fields.statementstring),
    isOrphan: "isstatementactive" in fields && Number(fields.isstatementactive) === 0,
  };
}

// `table$master$public$trips$Insert` is the table trips in schema public of database master, locked for an insert.
export function objectOf(name) {
  const [kind, ...parts] = name.split("$").filter(Boolean);
  if (kind === "table") return { kind, title: parts.slice(0, 3).join("."), purpose: parts.slice(3).join(" ") };
  if (kind === "globalpermission") return { kind: "permissions", title: "of the whole cluster", purpose: "" };
  return { kind: kind ?? "object", title: parts.join("."), purpose: "" };
}

export function isExclusive(mode) {
  return mode.toLowerCase() === "exclusive";
}

function worstFirst(one, other) {
  const weight = ({ holders }) =>
    (holders.some(({ isOrphan }) => isOrphan) ? 2 : 0) + (holders.some(({ mode }) => isExclusive(mode)) ? 1 : 0);
  return weight(other) - weight(one) || other.holders.length - one.holders.length || one.name.localeCompare(other.name);
}

function plain(fields) {
  const pairs = Object.entries(fields).map(([name, value]) => {
    const short = name.toLowerCase().replace(/[^a-z0-9]/g, "");
    return [OTHER_SPELLINGS[short] ?? short, value];
  });
  return Object.fromEntries(pairs);
}

// A queued statement has no instance, which some releases write as the word None.
function text(value) {
  return value === null || value === undefined || value === "None" ? "" : String(value);
}

function place(host, port) {
  return port === null || port === undefined ? text(host) : `${text(host)}:${port}`;
}

// Both notations that SQreamDB has, as seconds; of a zone that nobody knows nothing can be said.
function moment(value, zone) {
  const asUtc = asIfUtc(value);
  return asUtc === null || zone === null ? null : asUtc - zone;
}

function asIfUtc(value) {
  const written = text(value);
  const first = DAY_FIRST.exec(written);
  const [, year, month, day, ...time] = first
    ? [null, first[3], first[2], first[1], ...first.slice(4)]
    : (YEAR_FIRST.exec(written) ?? []);
  return year === undefined ? null : Date.UTC(year, month - 1, day, ...time) / 1000;
}

// The newest statement is the poll's own and began as the rows were read; zones are quarters of an hour.
function zoneOf(plains, pollSeconds) {
  const starts = plains.map((fields) => asIfUtc(fields.statementstarttime)).filter((start) => start !== null);
  if (starts.length === 0) return null;
  return Math.round((Math.max(...starts) - pollSeconds) / ZONE_STEP_SECONDS) * ZONE_STEP_SECONDS;
}
