/** @import { Classification, Model } from "./api.js" */
/** @import { Recording } from "./audio.js" */
import { Problem, classify, fetchGenres, fetchModels } from "./api.js";
import { decodeRecording } from "./audio.js";
import { AudioPlot } from "./audio-plot.js";
import { createElement, getElement } from "./dom.js";
import { formatAudioInfo } from "./format.js";
import { renderGallery } from "./gallery.js";
import { ModelPicker } from "./model-picker.js";
import { Player } from "./player.js";
import { ariaSummary, createProblem, renderProgress, renderResults } from "./results.js";
import { addGenreExamples, watchSources } from "./sources.js";
import { watchTheme } from "./theme.js";
import {
  labelAt,
  renderLegend,
  renderSegmentTable,
  renderTimeTicks,
  renderTimeline,
} from "./timeline.js";

/** The recording that is shown. @type {Recording | null} */
let recording = null;
/** Its duration in seconds. */
let duration = 0;
/** Its results by model. @type {Map<string, Classification | Problem>} */
let results = new Map();
/** Aborted when another recording is chosen, and when other models are. */
let opening = new AbortController();
let classifying = new AbortController();
/** The request for the models of the server; null where it failed. @type {Promise<void> | null} */
let loadingModels = null;

const plot = new AudioPlot();
const picker = new ModelPicker(() => {
  plot.setWindow(plotWindow());
  if (recording) void classifyWithSelected(recording);
});
const player = new Player((position) => {
  const result = picker.model && results.get(modelKey(picker.model));
  return result && !(result instanceof Problem) ? labelAt(result, position) : "";
});

function modelKey(/** @type {Model} */ { task, name }) {
  return `${task}/${name}`;
}

/** Return the window of the chosen model, or Hann where its input has none. */
function plotWindow() {
  return picker.model?.window ?? "hann";
}

/**
 * Show a recording and classify it. One that nobody can read replaces nothing.
 * @param {Blob | Promise<Blob>} source
 * @param {string} name
 */
async function openRecording(source, name) {
  opening.abort();
  opening = new AbortController();
  const { signal } = opening;
  getElement("problem").replaceChildren();
  getElement("status").textContent = `Listening to ${name}`;
  try {
    const [blob] = await Promise.all([source, loadModels()]);
    const opened = await decodeRecording(blob, name);
    if (signal.aborted) return;
    if (opened.audio) {
      showRecording(opened, opened.audio.duration);
    } else if (picker.model) {
      // The service reads more formats than browsers do.
      const { model } = picker;
      const result = await classify(blob, name, model, signal, () => {});
      if (signal.aborted) return;
      showRecording(opened, result.audio.seconds);
      results.set(modelKey(model), result);
    }
    await classifyWithSelected(opened);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (!signal.aborted) showProblem(name, error);
  }
}

/**
 * @param {string} name of what failed
 * @param {Problem} problem
 * @param {() => void} [retry]
 */
function showProblem(name, problem, retry) {
  getElement("status").textContent = "";
  const note = createElement("p", { className: "note" }, name);
  const box = createElement("div", { className: "problem" }, note);
  box.append(...createProblem(problem, retry));
  getElement("problem").replaceChildren(box);
}

function showRecording(/** @type {Recording} */ opened, /** @type {number} */ seconds) {
  recording = opened;
  duration = seconds;
  results = new Map();
  const { name, blob, audio } = opened;
  getElement("recording").hidden = false;
  getElement("recording-name").textContent = name;
  getElement("undrawn").hidden = audio !== null;
  getElement("stage").classList.toggle("is-undrawn", audio === null);
  plot.load(audio, plotWindow());
  player.load(audio && blob, seconds);
  render();
  // The results stand below the recording on a phone, beside it elsewhere.
  const isPhone = matchMedia("(max-width: 40rem)").matches;
  getElement("sound").scrollIntoView({ block: isPhone ? "start" : "nearest" });
}

/** Request the results of the selected models that are not there yet. */
async function classifyWithSelected(/** @type {Recording} */ { blob, name }) {
  classifying.abort();
  classifying = new AbortController();
  const { signal } = classifying;
  for (const model of picker.selected) {
    if (results.get(modelKey(model)) instanceof Problem) results.delete(modelKey(model));
  }
  render();
  const missing = picker.selected.filter((model) => !results.has(modelKey(model)));
  await Promise.all(
    missing.map(async (model) => {
      const result = await classify(blob, name, model, signal, (progress) => {
        if (!signal.aborted) renderProgress(model, progress);
      }).catch((error) => {
        if (error instanceof Problem) return error;
        throw error;
      });
      if (signal.aborted) return;
      results.set(modelKey(model), result);
      render();
    }),
  );
  if (!signal.aborted) getElement("status").textContent = ariaSummary(outcomes());
}

function outcomes() {
  return picker.selected.map((model) => ({ model, result: results.get(modelKey(model)) ?? null }));
}

function render() {
  const classifications = outcomes().flatMap(({ result }) =>
    result === null || result instanceof Problem ? [] : [result],
  );
  const [first] = classifications;
  getElement("recording").classList.toggle("is-compared", picker.selected.length > 1);
  getElement("recording-info").textContent = first ? formatAudioInfo(first.audio) : "";
  renderTimeTicks(duration);
  renderTimeline(classifications, picker.labels, duration);
  renderLegend(classifications, picker.labels);
  renderSegmentTable(classifications);
  renderResults(outcomes(), () => recording && void classifyWithSelected(recording));
  player.update();
}

/** Load the models once; again, where that failed. */
function loadModels() {
  loadingModels ??= fetchModels()
    .then((models) => {
      if (!models.length) {
        throw new Problem("This server has no models", "There is no checkpoint in its store.");
      }
      picker.setModels(models);
    })
    .catch((error) => {
      loadingModels = null;
      throw error;
    });
  return loadingModels;
}

async function start() {
  getElement("problem").replaceChildren();
  try {
    await loadModels();
    const genres = await fetchGenres();
    addGenreExamples(genres, openRecording);
    renderGallery(genres, openRecording);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showProblem("Earshot", error, start);
  }
}

watchTheme(() => plot.repaint());
watchSources(openRecording, showProblem);
void start();
