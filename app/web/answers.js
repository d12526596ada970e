import { Problem } from "./api.js";
import { labelColour } from "./colours.js";
import { byId, element } from "./dom.js";
import { clock, labelText, percent, reasonText, windowText } from "./words.js";

/**
 * What a window has answered so far; null while it is waited for.
 * @typedef {{window: string, result: import("./api.js").Answer | Problem | null}} Reply
 */

/**
 * Show the replies side by side.
 * @param {Reply[]} replies
 * @param {import("./api.js").Model[]} models
 * @param {() => void} retry
 */
export function showAnswers(replies, models, retry) {
  const box = byId("answers");
  box.setAttribute("aria-busy", String(replies.some(({ result }) => result === null)));
  box.replaceChildren(
    ...replies.map(({ window, result }) => {
      const card = element("article", { className: "card answer" });
      card.dataset.window = window;
      const extent = result && "segments" in result ? ", whole recording" : "";
      card.append(element("h3", {}, `${windowText(window)} window${extent}`));
      if (result === null) card.append(...waitingParts());
      else if (result instanceof Problem) card.append(...problemParts(result, retry));
      else card.append(...answerParts(result, models));
      return card;
    }),
  );
}

/**
 * Show how far a window's answer is, where it is waited for.
 * @param {string} window
 * @param {import("./api.js").Progress} progress
 */
export function showProgress(window, { seconds, total }) {
  const card = byId("answers").querySelector(`[data-window="${window}"]`);
  const bar = card?.querySelector("progress");
  // A short recording is heard at once.
  if (!bar || seconds === total) return;
  card.querySelector(".far").textContent = total === null ? clock(seconds) : `${clock(seconds)} of ${clock(total)}`;
  if (total !== null) bar.value = seconds / total;
  bar.hidden = false;
}

function waitingParts() {
  const bar = element("progress", { ariaLabel: "Listened to", hidden: true });
  return [element("p", { className: "waiting" }, "Listening…"), bar, element("p", { className: "note far" })];
}

/**
 * The replies in a sentence, for screen readers.
 * @param {Reply[]} replies
 * @returns {string}
 */
export function spoken(replies) {
  return replies
    .map(({ window, result }) => {
      const name = replies.length > 1 ? `${windowText(window)} window: ` : "";
      if (result === null) return "";
      if (result instanceof Problem) return `${name}${result.title}. ${result.detail}`;
      const how = result.label === null ? reasonText(result.reason) : percent(result.probability);
      return `${name}${labelText(result.label)}, ${how}.`;
    })
    .join(" ");
}

/**
 * @param {Problem} problem
 * @param {() => void} [retry]
 * @returns {HTMLElement[]}
 */
export function problemParts({ title, detail }, retry) {
  const parts = [
    element("p", { className: "problem-title" }, title),
    element("p", { className: "problem-detail" }, detail),
  ];
  if (retry) parts.push(element("button", { type: "button", onclick: retry }, "Try again"));
  return parts;
}

/**
 * @param {import("./api.js").Answer} answer
 * @param {import("./api.js").Model[]} models
 */
function answerParts(answer, models) {
  const { task, window, version } = answer.checkpoint;
  const model = models.find((other) => other.task === task && other.window === window);
  const headline = element("p", { className: "headline" }, labelText(answer.label));
  const parts = [headline];
  if (answer.label === null) {
    parts.push(element("p", { className: "reason" }, reasonText(answer.reason)));
  } else {
    headline.append(" ", element("span", { className: "sure" }, percent(answer.probability)));
  }
  const bars = (answer.ranked ?? []).map((ranked) => bar(ranked, model?.labels ?? []));
  parts.push(element("ol", { className: "bars" }, ...bars));
  const overall = model?.metrics?.overall;
  const measured = overall
    ? `Right on ${percent(overall.accuracy)} of ${overall.clips} recordings held out of training. `
    : "";
  parts.push(element("p", { className: "note" }, `${measured}Version ${version}.`));
  return parts;
}

/**
 * @param {import("./api.js").Ranked} ranked
 * @param {string[]} labels
 */
function bar({ label, probability }, labels) {
  const fill = element("span", { className: "fill" });
  fill.style.width = `${100 * probability}%`;
  fill.style.backgroundColor = labelColour(label, labels);
  return element(
    "li",
    {},
    element("span", { className: "name" }, labelText(label)),
    element("span", { className: "value" }, percent(probability)),
    element("span", { className: "track", ariaHidden: "true" }, fill),
  );
}
