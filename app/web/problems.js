import { createButton, createElement, getElement } from "./dom.js";

/** @import { Problem } from "./api.js" */

/**
 * Show a problem, until it is dismissed or another sound is chosen.
 * @param {string} name of what failed
 * @param {Problem} problem
 * @param {() => void} [retry] offered where it may help
 */
export function showProblem(name, problem, retry) {
  getElement("status").textContent = "";
  const note = createElement("p", { className: "note" }, name);
  const close = createButton("×", dismissProblem, { className: "close", ariaLabel: "Dismiss" });
  const box = createElement("div", { className: "problem" }, close, note);
  box.append(...createProblem(problem, retry));
  getElement("problem").replaceChildren(box);
}

/** Remove the problem that is shown, if any. */
export function dismissProblem() {
  getElement("problem").replaceChildren();
}

/**
 * Create the elements that tell a problem.
 * @param {Problem} problem
 * @param {() => void} [retry] offered where it may help
 * @returns {HTMLElement[]}
 */
export function createProblem(problem, retry) {
  const elements = [
    createElement("p", { className: "problem-title" }, problem.title),
    createElement("p", { className: "problem-detail" }, problem.detail),
  ];
  return retry && problem.isTemporary ? [...elements, createButton("Try again", retry)] : elements;
}
