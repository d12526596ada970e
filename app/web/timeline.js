import { labelColour } from "./colours.js";
import { byId, element } from "./dom.js";
import { clock, labelText, percent, reasonText, windowText } from "./words.js";

/**
 * A stretch of a recording with one label.
 * @typedef {{start: number, end: number, label: string | null}} Span
 * @typedef {import("./api.js").Answer} Answer
 */

/**
 * The stretches of an answer: clips that overlap end where the next one starts, and
 * neighbours of one label become one.
 * @param {Answer} answer
 * @returns {Span[]}
 */
export function spans(answer) {
  const whole = [{ start: 0, end: answer.clip.seconds, label: answer.label }];
  const segments = answer.segments ?? whole;
  /** @type {Span[]} */
  const found = [];
  segments.forEach(({ start, end, label }, i) => {
    const until = Math.min(end, segments[i + 1]?.start ?? end);
    const last = found.at(-1);
    if (last && last.label === label && last.end === start) last.end = until;
    else found.push({ start, end: until, label });
  });
  return found;
}

/**
 * What was heard at a time.
 * @param {Answer} answer
 * @param {number} seconds
 * @returns {string}
 */
export function heardAt(answer, seconds) {
  const span = spans(answer).findLast(({ start, end }) => start <= seconds && seconds <= end);
  return span ? labelText(span.label) : "";
}

/**
 * Draw one row for each answer, in the shape of the time axis.
 * @param {Answer[]} answers
 * @param {string[]} labels all labels of the task
 * @param {number} seconds
 */
export function drawTimeline(answers, labels, seconds) {
  byId("timeline").replaceChildren(
    ...answers.map((answer) => {
      const row = element("div", { className: "row" });
      row.append(...spans(answer).map((span) => block(span, labels, seconds)));
      if (answers.length > 1) {
        const name = windowText(answer.checkpoint.window);
        return element("div", {}, element("span", { className: "row-name" }, name), row);
      }
      return row;
    }),
  );
}

/**
 * Name the colours, and the share of the time that each label has where one answer tells it.
 * @param {Answer[]} answers
 * @param {string[]} labels all labels of the task
 */
export function drawLegend(answers, labels) {
  const heard = [...new Set(answers.flatMap(spans).map(({ label }) => label))];
  const shares = answers.length === 1 ? (answers[0].shares ?? {}) : {};
  byId("legend").replaceChildren(
    ...heard.map((label) => {
      const swatch = paint(element("span", { className: "swatch" }), label, labels);
      const share = label === null ? undefined : shares[label];
      const text = labelText(label) + (share === undefined ? "" : `, ${percent(share)} of the time`);
      return element("li", {}, swatch, text);
    }),
  );
}

/** @param {number} seconds */
export function drawTicks(seconds) {
  const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120].find((size) => seconds / size <= 8) ?? 300;
  /** @type {HTMLElement[]} */
  const ticks = [];
  for (let time = 0; time < seconds * 0.97; time += step) {
    const text = seconds < 60 ? `${time} s` : clock(time).slice(0, -2);
    const tick = element("span", {}, text);
    tick.style.left = `${(100 * time) / seconds}%`;
    ticks.push(tick);
  }
  byId("ticks").replaceChildren(...ticks);
}

/**
 * The segments as the service gave them, for those who read rather than look.
 * @param {Answer[]} answers
 */
export function fillTable(answers) {
  const rows = answers.flatMap((answer) =>
    (answer.segments ?? []).map(({ start, end, label, probability, reason }) =>
      element(
        "tr",
        {},
        ...[windowText(answer.checkpoint.window), clock(start), clock(end)].map(cell),
        cell(label === null ? `${labelText(label)}: ${reasonText(reason)}` : labelText(label)),
        cell(label === null ? "" : percent(probability)),
      ),
    ),
  );
  byId("segments").hidden = rows.length === 0;
  byId("segments").querySelector("tbody").replaceChildren(...rows);
}

function cell(/** @type {string} */ text) {
  return element("td", {}, text);
}

/**
 * @param {Span} span
 * @param {string[]} labels
 * @param {number} seconds
 */
function block({ start, end, label }, labels, seconds) {
  const made = element("div", { className: "block" }, element("span", {}, labelText(label)));
  made.style.left = `${(100 * start) / seconds}%`;
  made.style.width = `${(100 * (end - start)) / seconds}%`;
  return paint(made, label, labels);
}

/**
 * @param {HTMLElement} target
 * @param {string | null} label
 * @param {string[]} labels
 */
function paint(target, label, labels) {
  if (label === null) target.classList.add("nothing");
  else target.style.backgroundColor = labelColour(label, labels);
  return target;
}
