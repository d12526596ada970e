/** @import { Classification, Model, Progress, RankedLabel } from "./api.js" */
import { Problem } from "./api.js";
import { createButton, createElement, getElement } from "./dom.js";
import { formatLabel, formatModel, formatPercent, formatReason, formatTime } from "./format.js";
import { labelColour } from "./theme.js";

/**
 * The result of one model; null while the service is at work.
 * @typedef {{model: Model, result: Classification | Problem | null}} ModelResult
 */

/**
 * Show the outcomes side by side.
 * @param {ModelResult[]} outcomes
 * @param {() => void} retry
 */
export function renderResults(outcomes, retry) {
  const box = getElement("results");
  box.setAttribute("aria-busy", String(outcomes.some(({ result }) => result === null)));
  box.replaceChildren(
    ...outcomes.map(({ model, result }) => {
      const title = createElement("h3", {}, formatModel(model));
      const card = createElement("article", { className: "card result" }, title);
      card.dataset.checkpoint = model.name;
      if (result === null) card.append(...createWaiting());
      else if (result instanceof Problem) card.append(...createProblem(result, retry));
      else card.append(...createResult(result, model));
      if (result && "segments" in result && result.segments) title.append(", whole recording");
      return card;
    }),
  );
}

/**
 * Show how much of the recording a model has classified, while its result is waited for.
 * @param {Model} model
 * @param {Progress} progress
 */
export function renderProgress({ name }, { seconds, total }) {
  const card = getElement("results").querySelector(`[data-checkpoint="${name}"]`);
  const bar = card?.querySelector("progress");
  const text = card?.querySelector(".progress-text");
  // A short recording is classified at once.
  if (!bar || !text || seconds === total) return;
  const elapsed = formatTime(seconds);
  text.textContent = total === null ? elapsed : `${elapsed} of ${formatTime(total)}`;
  if (total !== null) bar.value = seconds / total;
  bar.hidden = false;
}

/**
 * Return the outcomes in a sentence, for screen readers.
 * @param {ModelResult[]} outcomes
 * @returns {string}
 */
export function ariaSummary(outcomes) {
  return outcomes
    .map(({ model, result }) => {
      if (result === null) return "";
      const name = outcomes.length > 1 ? `${formatModel(model)}: ` : "";
      if (result instanceof Problem) return `${name}${result.title}. ${result.detail}`;
      const { label, reason, probability } = result;
      const support = label === null ? formatReason(reason) : formatPercent(probability);
      return `${name}${formatLabel(label)}, ${support}.`;
    })
    .join(" ");
}

/**
 * Create the elements that tell a problem.
 * @param {Problem} problem
 * @param {() => void} [retry]
 * @returns {HTMLElement[]}
 */
export function createProblem({ title, detail }, retry) {
  const elements = [
    createElement("p", { className: "problem-title" }, title),
    createElement("p", { className: "problem-detail" }, detail),
  ];
  return retry ? [...elements, createButton("Try again", retry)] : elements;
}

function createWaiting() {
  return [
    createElement("p", { className: "waiting" }, "Listening…"),
    createElement("progress", { ariaLabel: "Listened to", hidden: true }),
    createElement("p", { className: "note progress-text" }),
  ];
}

function createResult(
  /** @type {Classification} */ { label, reason, probability, ranked, checkpoint },
  /** @type {Model} */ { labels, metrics },
) {
  const headline = createElement("p", { className: "headline" }, formatLabel(label));
  /** @type {HTMLElement[]} */
  const elements = [headline];
  if (label === null) {
    elements.push(createElement("p", { className: "reason" }, formatReason(reason)));
  } else {
    const percent = createElement("span", { className: "percent" }, formatPercent(probability));
    headline.append(" ", percent);
  }
  const bars = ranked.map((each) => createBar(each, labels ?? []));
  const accuracy = metrics
    ? `Right on ${formatPercent(metrics.overall.accuracy)} of ${metrics.overall.clips} ` +
      "recordings held out of training. "
    : "";
  const robustness = metrics?.robustness
    ? "With noise, in rooms and over telephones, right " +
      `${formatPercent(metrics.robustness.relative_accuracy)} as often. `
    : "";
  return [
    ...elements,
    createElement("ol", { className: "bars" }, ...bars),
    createElement(
      "p",
      { className: "note" },
      `${accuracy}${robustness}Version ${checkpoint.version}.`,
    ),
  ];
}

/**
 * @param {RankedLabel} ranked
 * @param {string[]} labels
 */
function createBar({ label, probability }, labels) {
  const fill = createElement("span", { className: "fill" });
  fill.style.width = `${100 * probability}%`;
  fill.style.backgroundColor = labelColour(label, labels);
  return createElement(
    "li",
    {},
    createElement("span", { className: "name" }, formatLabel(label)),
    createElement("span", { className: "value" }, formatPercent(probability)),
    createElement("span", { className: "bar", ariaHidden: "true" }, fill),
  );
}
