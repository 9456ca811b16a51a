// Makes and changes elements; text from outside only ever becomes text, and what did not change is not touched.

import { visible } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
let frameTasks = new Set();

export function byId(id) {
  return document.getElementById(id);
}

// `text` is set as text; every other key is an attribute.
export function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  if (text !== undefined) setText(made, text);
  made.append(...children);
  return made;
}

export function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

// Returns whether it was another text before.
export function setText(node, text) {
  const shown = visible(text);
  const first = node.firstChild;
  if ((first?.data ?? "") === shown) return false;
  if (first === null) node.append(shown);
  else first.data = shown;
  return true;
}

export function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

// Run a task before the next picture is drawn, once, however often it was asked for.
export function onFrame(task) {
  if (frameTasks.size === 0) requestAnimationFrame(runTasks);
  frameTasks.add(task);
}

function runTasks() {
  const tasks = frameTasks;
  frameTasks = new Set();
  for (const task of tasks) task();
}
