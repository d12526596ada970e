/** @import { Classification } from "./api.js" */
import { createElement, getElement } from "./dom.js";
import { formatLabel, formatName, formatPercent, formatReason, formatTime } from "./format.js";
import { labelColour } from "./theme.js";

/**
 * A part of a recording with one label.
 * @typedef {{start: number, end: number, label: string | null}} LabelSpan
 */

/**
 * Return the parts of a recording by label: segments that overlap end where the next one starts,
 * and neighbours of one label are one.
 * @param {Classification} classification
 * @returns {LabelSpan[]}
 */
function mergeSegments({ audio, label, segments }) {
  const parts = segments ?? [{ start: 0, end: audio.seconds, label }];
  /** @type {LabelSpan[]} */
  const spans = [];
  parts.forEach(({ start, end, label }, i) => {
    const visibleEnd = Math.min(end, parts[i + 1]?.start ?? end);
    const last = spans.at(-1);
    if (last && last.label === label && last.end === start) last.end = visibleEnd;
    else spans.push({ start, end: visibleEnd, label });
  });
  return spans;
}

/**
 * Return the label at a time, or an empty string.
 * @param {Classification} classification
 * @param {number} seconds
 * @returns {string}
 */
export function labelAt(classification, seconds) {
  const spans = mergeSegments(classification);
  const span = spans.findLast(({ start, end }) => start <= seconds && seconds <= end);
  return span ? formatLabel(span.label) : "";
}

/**
 * Draw a row of labelled blocks for each classification.
 * @param {Classification[]} classifications
 * @param {string[]} labels all labels of the task
 * @param {number} duration in seconds
 */
export function renderTimeline(classifications, labels, duration) {
  getElement("timeline").replaceChildren(
    ...classifications.map((classification) => {
      const spans = mergeSegments(classification);
      const blocks = spans.map((span) => createBlock(span, labels, duration));
      const row = createElement("div", { className: "row" }, ...blocks);
      if (classifications.length === 1) return row;
      const name = formatName(classification.checkpoint.name);
      const caption = createElement("span", { className: "row-name" }, name);
      return createElement("div", {}, caption, row);
    }),
  );
}

/**
 * Name the colours and, of a single classification, each label's fraction of the time.
 * @param {Classification[]} classifications
 * @param {string[]} labels all labels of the task
 */
export function renderLegend(classifications, labels) {
  const spans = classifications.flatMap(mergeSegments);
  const fractions = classifications.length === 1 ? classifications[0].label_fractions : null;
  getElement("legend").replaceChildren(
    ...[...new Set(spans.map(({ label }) => label))].map((label) => {
      const swatch = createElement("span", { className: "swatch" });
      paint(swatch, label, labels);
      const fraction = label === null ? undefined : fractions?.[label];
      const share = fraction === undefined ? "" : `, ${formatPercent(fraction)} of the time`;
      return createElement("li", {}, swatch, formatLabel(label) + share);
    }),
  );
}

/**
 * Draw the time axis.
 * @param {number} duration in seconds
 */
export function renderTimeTicks(duration) {
  const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120];
  const step = steps.find((size) => duration / size <= 8) ?? 300;
  /** @type {HTMLElement[]} */
  const ticks = [];
  for (let time = 0; time < duration * 0.97; time += step) {
    const text = duration < 60 ? `${time} s` : formatTime(time).slice(0, -2);
    const tick = createElement("span", {}, text);
    tick.style.left = `${(100 * time) / duration}%`;
    ticks.push(tick);
  }
  getElement("time-ticks").replaceChildren(...ticks);
}

/**
 * Fill the table of segments, for those who read rather than look.
 * @param {Classification[]} classifications
 */
export function renderSegmentTable(classifications) {
  const rows = classifications.flatMap(({ checkpoint, segments }) =>
    (segments ?? []).map(({ start, end, label, probability, reason }) => {
      const support = label === null ? `: ${formatReason(reason)}` : "";
      const cells = [
        ...[formatName(checkpoint.name), formatTime(start), formatTime(end)],
        ...[formatLabel(label) + support, label === null ? "" : formatPercent(probability)],
      ];
      return createElement("tr", {}, ...cells.map((text) => createElement("td", {}, text)));
    }),
  );
  getElement("segments").hidden = rows.length === 0;
  getElement("segment-rows").replaceChildren(...rows);
}

/**
 * @param {LabelSpan} span
 * @param {string[]} labels
 * @param {number} duration
 */
function createBlock({ start, end, label }, labels, duration) {
  const text = createElement("span", {}, formatLabel(label));
  const block = createElement("div", { className: "block" }, text);
  block.style.left = `${(100 * start) / duration}%`;
  block.style.width = `${(100 * (end - start)) / duration}%`;
  paint(block, label, labels);
  return block;
}

/**
 * @param {HTMLElement} element
 * @param {string | null} label
 * @param {string[]} labels
 */
function paint(element, label, labels) {
  if (label === null) element.classList.add("unlabelled");
  else element.style.backgroundColor = labelColour(label, labels);
}
