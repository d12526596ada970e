/** @import { Classification, Model, Progress } from "./api.js" */
import { Problem } from "./api.js";
import { createButton, createElement, getElement } from "./dom.js";
import {
  formatLabel,
  formatModel,
  formatPercent,
  formatReason,
  formatShares,
  formatTime,
} from "./format.js";
import { createProblem } from "./problems.js";
import { paint } from "./theme.js";

/**
 * The result of one model; null while the service is at work.
 * @typedef {{model: Model, result: Classification | Problem | null}} ModelResult
 *
 * Callbacks of the buttons of results.
 * @typedef {object} ResultActions
 * @property {() => void} retry
 * @property {(model: Model, label: string) => void} explain
 */

/**
 * Show the outcomes side by side.
 * @param {ModelResult[]} outcomes
 * @param {ResultActions} actions
 */
export function renderResults(outcomes, { retry, explain }) {
  const box = getElement("results");
  box.setAttribute("aria-busy", String(outcomes.some(({ result }) => result === null)));
  box.replaceChildren(
    ...outcomes.map(({ model, result }) => {
      const title = createElement("h3", {}, formatModel(model));
      const card = createElement("article", { className: "card result" }, title);
      card.dataset.checkpoint = model.name;
      if (result === null) card.append(...createWaiting());
      else if (result instanceof Problem) card.append(...createProblem(result, retry));
      // Explanations are the service's, which has not heard what was classified here.
      else if (model.runsHere) card.append(...createResult(result, model));
      else card.append(...createResult(result, model, (label) => explain(model, label)));
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
      const { text, reason } = summarise(result);
      return `${name}${text}${reason && `, ${reason}`}.`;
    })
    .join(" ");
}

/**
 * Create bars of labels.
 * @param {[string | null, number][]} values each label with its probability or share
 * @param {string[]} labels all labels of the task
 * @param {(label: string) => void} [explain] called with the label that is to be explained
 * @returns {HTMLElement}
 */
export function createBars(values, labels, explain) {
  return createElement(
    "ol",
    { className: "bars" },
    ...values.map(([label, value]) => {
      const fill = createElement("span", { className: "fill" });
      fill.style.width = `${100 * value}%`;
      paint(fill, label, labels);
      const name = createElement("span", { className: "name" }, formatLabel(label));
      if (label !== null && explain) {
        const why = createButton("why?", () => explain(label), {
          className: "why",
          ariaLabel: `Why ${formatLabel(label)}?`,
        });
        name.append(why);
      }
      return createElement(
        "li",
        {},
        name,
        createElement("span", { className: "value" }, formatPercent(value)),
        createElement("span", { className: "bar", ariaHidden: "true" }, fill),
      );
    }),
  );
}

function createWaiting() {
  return [
    createElement("p", { className: "waiting" }, "Listening…"),
    createElement("progress", { ariaLabel: "Listened to", hidden: true }),
    createElement("p", { className: "note progress-text" }),
    createElement("div", { className: "skeleton", ariaHidden: "true" }),
  ];
}

/**
 * Return what is heard in words and, where nothing is, why.
 * @param {Classification} classification
 * @returns {{text: string, reason: string}}
 */
export function summarise(classification) {
  const shares = listShares(classification);
  if (shares.length) return { text: formatShares(shares, classification.task), reason: "" };
  const { label, probability, segments } = classification;
  if (label !== null && !segments) {
    return { text: `${formatLabel(label)} ${formatPercent(probability)}`, reason: "" };
  }
  const reason = classification.reason ?? segments?.[0].reason;
  return { text: formatLabel(null), reason: formatReason(reason) };
}

/**
 * Return the labels of a long recording with their fractions of its time, the largest first.
 * @param {Classification} classification
 * @returns {[string, number][]}
 */
function listShares({ label_fractions: fractions }) {
  return Object.entries(fractions ?? {}).sort(([, one], [, other]) => other - one);
}

/**
 * @param {Classification} classification
 * @param {Model} model
 * @param {(label: string) => void} [explain]
 * @returns {HTMLElement[]}
 */
function createResult(classification, { labels, metrics }, explain) {
  const { ranked, segments, checkpoint } = classification;
  const { text, reason } = summarise(classification);
  const shares = listShares(classification);
  /** @type {HTMLElement[]} */
  const elements = [createElement("p", { className: "headline" }, text)];
  if (segments) elements[0].classList.add("is-long");
  if (reason) elements.push(createElement("p", { className: "reason" }, reason));
  const bars = createBars(
    ranked.map(({ label, probability }) => [label, probability]),
    labels ?? [],
    explain,
  );
  if (shares.length) {
    const rest = 1 - shares.reduce((sum, [, share]) => sum + share, 0);
    // What is left by rounding has no label of its own.
    const all = rest > 0.001 ? [...shares, /** @type {[null, number]} */ ([null, rest])] : shares;
    elements.push(createBars(all, labels ?? [], explain));
    elements.push(createFold("Mean over the whole recording", bars));
  } else if (!reason) {
    elements.push(bars);
  } else if (ranked.length) {
    elements.push(createFold("If it had to be one of these", bars));
  }
  const accuracy = metrics
    ? `Right on ${formatPercent(metrics.overall.accuracy)} of ${metrics.overall.clips} ` +
      "recordings held out of training. "
    : "";
  const robustness = metrics?.robustness
    ? "With noise, in rooms and over telephones, right " +
      `${formatPercent(metrics.robustness.relative_accuracy)} as often. `
    : "";
  const note = `${accuracy}${robustness}Version ${checkpoint.version}.`;
  return [...elements, createElement("p", { className: "note" }, note)];
}

function createFold(/** @type {string} */ title, /** @type {HTMLElement} */ content) {
  const summary = createElement("summary", {}, title);
  return createElement("details", { className: "fold" }, summary, content);
}
