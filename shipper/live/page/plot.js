// Draws how many came over time as bars with a scale, for people and, in words, for those who cannot see it.

import { drawing, element, setText } from "./dom.js";
import { bytes, clock, count, duration, rate } from "./format.js";

const WIDTH = 600;
const HEIGHT = 160;

// `rate` is {from, bucket_seconds, counts, bytes}; the words of the bar under the pointer go to `words`.
export function drawPlot(container, words, { from, bucket_seconds: bucketSeconds, counts, bytes: sizes }) {
  if (counts.length === 0) return;
  const drawn = JSON.stringify([from, bucketSeconds, counts]);
  if (container.drawn === drawn) return;
  container.drawn = drawn;
  const most = Math.max(...counts, 1);
  const step = WIDTH / Math.max(counts.length, 1);
  const bars = counts.map((number, place) => bar(number / most, place * step, step));
  const told = `Most: ${rate(most / bucketSeconds)} a second, each bar is ${duration(bucketSeconds)}.`;
  const svg = drawing(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `Time Frames over time. ${told}` },
    ...bars,
  );
  svg.addEventListener("pointermove", ({ offsetX }) => {
    const place = Math.min(counts.length - 1, Math.floor((offsetX / svg.clientWidth) * counts.length));
    setText(words, wordsOf(place, from, bucketSeconds, counts, sizes));
  });
  svg.addEventListener("pointerleave", () => setText(words, told));
  setText(words, told);
  const ends = [from, from + bucketSeconds * counts.length].map((at) => element("span", { text: clock(at) }));
  container.replaceChildren(svg, element("div", { class: "ticks" }, ...ends));
}

function bar(share, left, step) {
  const height = share * (HEIGHT - 4);
  const gap = step > 3 ? 1 : 0;
  return drawing("rect", { x: left, y: HEIGHT - height, width: Math.max(step - gap, 0.5), height });
}

function wordsOf(place, from, bucketSeconds, counts, sizes) {
  const at = from + place * bucketSeconds;
  const perSecond = rate(counts[place] / bucketSeconds);
  return `${clock(at)}: ${count(counts[place])} Time Frames, ${perSecond} a second, ${bytes(sizes?.[place] ?? null)}`;
}
