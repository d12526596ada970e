/** @import { Classification } from "./api.js" */
/** @import { Span } from "./spectrogram-canvas.js" */
import { createElement, getElement } from "./dom.js";
import { formatLabel, formatName, formatPercent, formatReason, formatTime } from "./format.js";
import { createSwatch, paint } from "./theme.js";

/** Between ticks of a time axis: at least, in pixels, and in seconds. */
const TICK_PIXELS = 56;
const LAST_TICK_PIXELS = 40;
const TICK_STEPS = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300];
const MAX_TICKS = 10;

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
export function mergeSegments({ audio, label, segments }) {
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
 * @param {Span} view what is shown of the recording
 */
export function renderTimeline(classifications, labels, view) {
  getElement("timeline").replaceChildren(
    ...classifications.map((classification) => {
      const row = createTimelineRow(mergeSegments(classification), labels, view);
      if (classifications.length === 1) return row;
      const name = formatName(classification.checkpoint.name);
      const caption = createElement("span", { className: "row-name" }, name);
      return createElement("div", {}, caption, row);
    }),
  );
}

/**
 * Create a row of labelled blocks.
 * @param {LabelSpan[]} spans
 * @param {string[]} labels all labels of the task
 * @param {Span} view what is shown of the recording
 * @returns {HTMLElement}
 */
export function createTimelineRow(spans, labels, view) {
  const shown = spans.filter(({ start, end }) => end > view.start && start < view.end);
  const blocks = shown.map((span) => createBlock(span, labels, view));
  return createElement("div", { className: "row" }, ...blocks);
}

/**
 * Name the colours.
 * @param {Classification[]} classifications
 * @param {string[]} labels all labels of the task
 */
export function renderLegend(classifications, labels) {
  const spans = classifications.flatMap(mergeSegments);
  getElement("legend").replaceChildren(
    ...[...new Set(spans.map(({ label }) => label))].map((label) =>
      createElement("li", {}, createSwatch(label, labels), formatLabel(label)),
    ),
  );
}

/**
 * Draw a time axis, with as many ticks as have room.
 * @param {HTMLElement} axis
 * @param {Span} view what is shown of the recording
 */
export function renderTimeTicks(axis, { start, end }) {
  const seconds = end - start;
  const room = Math.min(Math.max(Math.floor(axis.clientWidth / TICK_PIXELS), 2), MAX_TICKS);
  const step = TICK_STEPS.find((size) => seconds / size <= room) ?? 600;
  /** @type {HTMLElement[]} */
  const ticks = [];
  // The text of the last must not leave the axis.
  const last = end - (seconds * LAST_TICK_PIXELS) / Math.max(axis.clientWidth, LAST_TICK_PIXELS);
  for (let i = Math.ceil(start / step); i * step <= last; i++) {
    const time = Number((i * step).toFixed(2));
    const text = end < 60 ? `${time} s` : formatTick(time, step);
    const tick = createElement("span", {}, text);
    tick.style.left = `${(100 * (time - start)) / seconds}%`;
    ticks.push(tick);
  }
  axis.replaceChildren(...ticks);
}

function formatTick(/** @type {number} */ time, /** @type {number} */ step) {
  const text = formatTime(time);
  return step < 1 ? text : text.slice(0, -2);
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
 * @param {Span} view
 */
function createBlock({ start, end, label }, labels, view) {
  const duration = view.end - view.start;
  const [from, to] = [Math.max(start, view.start), Math.min(end, view.end)];
  const text = createElement("span", {}, formatLabel(label));
  const block = createElement("div", { className: "block" }, text);
  block.style.left = `${(100 * (from - view.start)) / duration}%`;
  block.style.width = `${(100 * (to - from)) / duration}%`;
  paint(block, label, labels);
  return block;
}
