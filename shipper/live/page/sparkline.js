// Small drawings of numbers over time: a line without axes.

import { drawing } from "./dom.js";

const WIDTH = 60;
const HEIGHT = 16;

export function sparkline() {
  const line = drawing("polyline", { "vector-effect": "non-scaling-stroke" });
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "spark" };
  return drawing("svg", { ...box, "aria-hidden": "true" }, line);
}

// Oldest first; however few there are, they take the whole width.
export function drawSparkline(svg, numbers) {
  // A line needs two ends.
  svg.style.display = numbers.length > 1 ? "" : "none";
  if (numbers.length < 2) return;
  const most = Math.max(...numbers, Number.MIN_VALUE);
  const step = WIDTH / (numbers.length - 1);
  const points = numbers.map((number, index) => {
    const height = HEIGHT - 1 - (number / most) * (HEIGHT - 2);
    return `${(index * step).toFixed(1)},${height.toFixed(1)}`;
  });
  svg.firstChild.setAttribute("points", points.join(" "));
}
