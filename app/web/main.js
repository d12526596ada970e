import { Problem, classify, genres, models } from "./api.js";
import { problemParts, showAnswers, showProgress, spoken } from "./answers.js";
import { byId, element } from "./dom.js";
import { showGallery } from "./gallery.js";
import { Options } from "./options.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { decode } from "./sound.js";
import { offerGenres, watchSources } from "./sources.js";
import { watchTheme } from "./theme-toggle.js";
import { drawLegend, drawTicks, drawTimeline, fillTable, heardAt } from "./timeline.js";

/** @typedef {import("./api.js").Answer} Answer */

/** @type {import("./sound.js").Sound | null} */
let sound = null;
/** How long it lasts. */
let seconds = 0;
/** What was answered about the sound, by task and window. @type {Map<string, Answer | Problem>} */
let results = new Map();
/** End what nobody waits for any more: a sound that was chosen before another, questions about one. */
let taking = new AbortController();
let asking = new AbortController();

const picture = new Picture();
const options = new Options(() => {
  picture.look(options.window);
  if (sound) ask();
});
const player = new Player((position) => {
  const result = results.get(key(options.window));
  return result && !(result instanceof Problem) ? heardAt(result, position) : "";
});

function key(/** @type {string} */ window) {
  return `${options.task} ${window}`;
}

/**
 * Show a sound at once, and ask what is in it.
 * @param {Blob | Promise<Blob>} given
 * @param {string} name
 */
async function take(given, name) {
  taking.abort();
  taking = new AbortController();
  const { signal } = taking;
  byId("problem").replaceChildren();
  byId("status").textContent = `Listening to ${name}`;
  const blob = await settled(Promise.resolve(given));
  if (signal.aborted) return;
  if (blob instanceof Problem) {
    fail(name, blob);
    return;
  }
  const next = await decode(blob, name);
  if (signal.aborted) return;
  if (next.audio) {
    show(next, next.audio.duration);
    await ask();
    return;
  }
  // The service reads more formats than browsers do. What it cannot read replaces nothing.
  const asked = key(options.window);
  const result = await answer(next, options.window, signal);
  if (signal.aborted) return;
  if (result instanceof Problem) {
    fail(name, result);
    return;
  }
  show(next, result.clip.seconds);
  results.set(asked, result);
  await ask();
}

function fail(/** @type {string} */ name, /** @type {Problem} */ problem) {
  byId("status").textContent = "";
  const box = element("div", { className: "problem" }, element("p", { className: "note" }, name));
  box.append(...problemParts(problem));
  byId("problem").replaceChildren(box);
}

function show(/** @type {import("./sound.js").Sound} */ next, /** @type {number} */ length) {
  sound = next;
  seconds = length;
  results = new Map();
  byId("listening").hidden = false;
  byId("sound-name").textContent = sound.name;
  byId("undrawn").hidden = sound.audio !== null;
  byId("stage").classList.toggle("bare", sound.audio === null);
  picture.show(sound.audio, options.window);
  player.load(sound.audio && sound.blob, seconds);
  render();
  // The answer stands below the sound on a phone, beside it elsewhere.
  const phone = matchMedia("(max-width: 40rem)").matches;
  byId("sound").scrollIntoView({ block: phone ? "start" : "nearest" });
}

/** Ask for the answers that are wanted and not known yet. */
async function ask() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const asked = options.windows.map((window) => ({ window, name: key(window) }));
  for (const { name } of asked) if (results.get(name) instanceof Problem) results.delete(name);
  render();
  await Promise.all(
    asked
      .filter(({ name }) => !results.has(name))
      .map(async ({ window, name }) => {
        const result = await answer(sound, window, signal);
        if (signal.aborted) return;
        results.set(name, result);
        render();
      }),
  );
  if (!signal.aborted) byId("status").textContent = spoken(replies());
}

/**
 * @param {import("./sound.js").Sound} asked
 * @param {string} window
 * @param {AbortSignal} signal
 * @returns {Promise<Answer | Problem>}
 */
function answer({ blob, name }, window, signal) {
  const onProgress = (/** @type {import("./api.js").Progress} */ progress) => {
    if (!signal.aborted) showProgress(window, progress);
  };
  return settled(classify(blob, name, options.task, window, signal, onProgress));
}

/**
 * What a promise gives, or the Problem that it fails with.
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T | Problem>}
 */
function settled(promise) {
  return promise.catch((error) => {
    if (error instanceof Problem) return error;
    throw error;
  });
}

function replies() {
  return options.windows.map((window) => ({ window, result: results.get(key(window)) ?? null }));
}

/** @returns {Answer[]} */
function answers() {
  return replies().flatMap(({ result }) => (result === null || result instanceof Problem ? [] : [result]));
}

function render() {
  const given = answers();
  byId("listening").classList.toggle("compared", options.windows.length > 1);
  byId("sound-facts").textContent = given.length ? facts(given[0]) : "";
  drawTicks(seconds);
  drawTimeline(given, options.labels, seconds);
  drawLegend(given, options.labels);
  fillTable(given);
  showAnswers(replies(), options.models, ask);
  player.refresh();
}

function facts(/** @type {Answer} */ { clip: { sample_rate: rate, channels, format } }) {
  const sides = ["mono", "stereo"][channels - 1] ?? `${channels} channels`;
  return [`${rate / 1000} kHz`, sides, format].join(" · ");
}

async function start() {
  watchTheme(() => picture.repaint());
  watchSources({ take, fail });
  try {
    options.know(await models());
    const library = await genres();
    offerGenres(library, take);
    showGallery(library, take);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    fail("Earshot", error);
  }
}

start();
