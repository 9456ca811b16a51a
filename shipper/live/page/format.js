// Words for numbers, sizes, spans and moments, and a harmless form of text from outside.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const NOTHING = "–";
const STEP_BYTES = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

// Control characters, invisible ones, and those that turn the direction of what follows (Unicode TR 36).
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export function count(number) {
  return number === null || number === undefined ? NOTHING : NUMBER.format(number);
}

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return NOTHING;
  return perSecond < 10 ? TENTHS.format(perSecond) : NUMBER.format(perSecond);
}

export function bytes(number) {
  if (number === null || number === undefined) return NOTHING;
  const power = number < 1 ? 0 : Math.min(Math.floor(Math.log(number) / Math.log(STEP_BYTES)), UNITS.length - 1);
  const scaled = number / STEP_BYTES ** power;
  return `${power === 0 || scaled >= 100 ? NUMBER.format(scaled) : TENTHS.format(scaled)} ${UNITS[power]}`;
}

// How long ago, or until when: whole seconds, then minutes, hours, days.
export function span(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.round(whole / 60)} min`;
  if (whole < 172_800) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / 86_400)} d`;
}

// How long something took: three digits say enough.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(seconds < 0.1 ? 2 : 3))} ms`;
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

// The time of day, as the clock of whoever looks has it.
export function clock(unixSeconds) {
  const moment = new Date(unixSeconds * 1000);
  return [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":");
}

export function moment(unixSeconds) {
  if (unixSeconds === null || unixSeconds === undefined || Number.isNaN(unixSeconds)) return NOTHING;
  const day = new Date(unixSeconds * 1000);
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())} ${clock(unixSeconds)}`;
}

// A moment as ISO text; a zone that is missing is UTC.
export function isoSeconds(text) {
  if (!text) return null;
  const zoned = /(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`;
  const milliseconds = Date.parse(zoned);
  return Number.isNaN(milliseconds) ? null : milliseconds / 1000;
}

// Text of nanoseconds since 1970, which a number of JavaScript cannot hold, as the time of day to the millisecond.
export function clockOfNs(text) {
  return `${clock(Number(text.slice(0, -9)))}.${text.slice(-9, -6).padStart(3, "0")}`;
}

// The same text with every character shown that could hide or reorder others.
export function visible(text) {
  return String(text).replace(UNSEEN, symbol);
}

function symbol(character) {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}

function two(number) {
  return String(number).padStart(2, "0");
}
