// Small drawings of numbers over time: a line without axes.

import { drawing } from "./dom.js";

const WIDTH = 60;
const HEIGHT = 16;

export function sparkline() {
  const line = drawing("polyline", { "vector-effect": "non-scaling-stroke" });
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "spark" };
  return drawing("svg", { ...box, "aria-hidden": "true" }, line);
}

// The newest number stands at the right; the line grows into the room to the left of it.
export function drawSparkline(svg, numbers, kept) {
  // A line needs two ends.
  svg.style.visibility = numbers.length > 1 ? "visible" : "hidden";
  const most = Math.max(...numbers, Number.MIN_VALUE);
  const step = WIDTH / (kept - 1);
  const first = kept - numbers.length;
  const points = numbers.map((number, index) => {
    const height = HEIGHT - 1 - (number / most) * (HEIGHT - 2);
    return `${((first + index) * step).toFixed(1)},${height.toFixed(1)}`;
  });
  svg.firstChild.setAttribute("points", points.join(" "));
}
