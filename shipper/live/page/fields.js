// Takes a line apart into its fields: JSON, or logfmt.

const PAIR = /([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)/g;

// Returns an object of fields in their order; a line that is neither has the one field `line`.
export function fieldsOf(line) {
  return fromJson(line) ?? fromLogfmt(line) ?? { line };
}

// The value of a field as people read it.
export function shownValue(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function fromJson(line) {
  if (!line.startsWith("{")) return null;
  try {
    return JSON.parse(line, exact);
  } catch {
    return null;
  }
}

// Whole numbers that JavaScript cannot hold keep their digits, as text.
function exact(_key, value, context) {
  const tooLarge = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  return tooLarge && context ? context.source : value;
}

function fromLogfmt(line) {
  const pairs = [...line.matchAll(PAIR)].map(([, name, value]) => [name, unquoted(value)]);
  return pairs.length ? Object.fromEntries(pairs) : null;
}

function unquoted(value) {
  if (!value.startsWith('"')) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
