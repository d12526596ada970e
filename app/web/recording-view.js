/** @import { Classification, Model } from "./api.js" */
/** @import { ModelPicker } from "./model-picker.js" */
import { Problem, classify, explain, fetchLevels } from "./api.js";
import { AudioPlot } from "./audio-plot.js";
import { decodeAudio } from "./audio.js";
import { getElement } from "./dom.js";
import { createCopyButton, createDownloads, curlCommand, listSegments } from "./downloads.js";
import { EvidenceOverlay } from "./evidence.js";
import { formatAudioInfo } from "./format.js";
import { classifyOnDevice } from "./on-device.js";
import { Player } from "./player.js";
import { dismissProblem, showProblem } from "./problems.js";
import { ariaSummary, renderProgress, renderResults } from "./results.js";
import { Stage } from "./stage.js";
import {
  labelAt,
  renderLegend,
  renderSegmentTable,
  renderTimeTicks,
  renderTimeline,
} from "./timeline.js";

/**
 * A recording as the page holds it.
 * @typedef {{name: string, blob: Blob}} Recording
 */

/** Of what is shown around an explained clip, in lengths of the clip. */
const MAX_EXPLAINED_VIEW = 6;

/** One recording: its plot, and what the selected models say of it. */
export class RecordingView {
  #picker;
  #loadModels;
  /** @type {Recording | null} */
  #recording = null;
  /** By model. @type {Map<string, Classification | Problem>} */
  #results = new Map();
  /** Aborted when another recording is chosen, when other models are, when another label is. */
  #opening = new AbortController();
  #classifying = new AbortController();
  #explaining = new AbortController();
  #plot = new AudioPlot();
  #evidence = new EvidenceOverlay();
  #player = new Player(() => this.#stage?.update());
  #stage = new Stage(
    this.#player,
    (seconds) => this.#describe(seconds),
    () => this.#showView(),
  );

  /**
   * @param {ModelPicker} picker
   * @param {() => Promise<void>} loadModels resolves once the picker has its models
   */
  constructor(picker, loadModels) {
    this.#picker = picker;
    this.#loadModels = loadModels;
    new ResizeObserver(() => this.#renderView()).observe(getElement("stage"));
  }

  /**
   * Show a recording and classify it. Its name is shown at once, in the place of the one before.
   * @param {Blob | Promise<Blob>} source
   * @param {string} name
   */
  async open(source, name) {
    this.close();
    this.#opening = new AbortController();
    const { signal } = this.#opening;
    this.#showPending(name);
    try {
      const [blob] = await Promise.all([source, this.#loadModels()]);
      if (signal.aborted) return;
      this.#recording = { name, blob };
      this.#player.load(blob);
      const answers = this.#classify(this.#recording);
      // Drawing would take the processor from the answer that is waited for.
      if (sharesMachine()) await answers;
      if (signal.aborted) return;
      const audio = await decodeAudio(blob);
      if (audio && !signal.aborted) this.#showAudio(audio);
      await answers;
      if (signal.aborted || audio) return;
      // The service reads more formats than browsers do.
      if (this.#commonProblem() || this.#picker.model?.runsHere) this.close();
      else await this.#showLevels(blob, signal);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (signal.aborted) return;
      this.close();
      showProblem(name, error);
    }
  }

  /** Forget the recording, and what was asked about it. */
  close() {
    this.#opening.abort();
    this.#classifying.abort();
    this.#explaining.abort();
    this.#recording = null;
    this.#results = new Map();
    this.#player.load(null);
    this.#stage.reset();
    this.#plot.load(null);
    this.#evidence.hide();
    getElement("recording").hidden = true;
  }

  /** Ask the models that are selected now. */
  updateModels() {
    if (!this.#recording) return;
    this.#evidence.hide();
    if (!getElement("stage").classList.contains("is-pending")) this.#drawPlot();
    void this.#classify(this.#recording);
  }

  /** Draw everything again in the colours of the theme. */
  repaint() {
    this.#plot.repaint();
    this.#evidence.draw(this.#stage.view, this.#plot.maxHz);
  }

  #showPending(/** @type {string} */ name) {
    dismissProblem();
    getElement("status").textContent = `Listening to ${name}`;
    getElement("recording").hidden = false;
    getElement("recording-name").textContent = name;
    getElement("undrawn").textContent = "";
    getElement("stage").className = "stage is-pending";
    this.#render();
    // The results stand below the recording on a phone, beside it elsewhere.
    const isPhone = matchMedia("(max-width: 40rem)").matches;
    getElement("sound").scrollIntoView({ block: isPhone ? "start" : "nearest" });
  }

  #showAudio(/** @type {AudioBuffer} */ audio) {
    getElement("stage").className = "stage";
    this.#setDuration(audio.duration);
    const { numberOfChannels, sampleRate } = audio;
    const channels = Array.from({ length: numberOfChannels }, (_, i) => audio.getChannelData(i));
    this.#plot.load({ channels, sampleRate });
    this.#drawPlot();
  }

  /** Draw a recording that the browser does not decode, as far as the service does. */
  async #showLevels(/** @type {Blob} */ blob, /** @type {AbortSignal} */ signal) {
    const levels = await fetchLevels(blob, this.#window).catch((error) => {
      if (!(error instanceof Problem)) throw error;
      return error;
    });
    if (signal.aborted) return;
    const isDrawn = !(levels instanceof Problem);
    getElement("stage").className = isDrawn ? "stage is-served" : "stage is-undrawn";
    getElement("undrawn").textContent = isDrawn
      ? "This browser cannot play this recording; the service has drawn it."
      : `This browser cannot play this recording, and the service cannot draw it: ${levels.detail}`;
    if (!isDrawn) return;
    this.#plot.load(levels);
    this.#drawPlot();
  }

  #setDuration(/** @type {number} */ seconds) {
    this.#player.setDuration(seconds);
    this.#stage.reset();
    this.#render();
  }

  /** The window of the chosen model, or Hann where its input has none. */
  get #window() {
    return this.#picker.model?.window ?? "hann";
  }

  /** Request the results of the selected models that are not there yet. */
  async #classify(/** @type {Recording} */ { blob, name }) {
    this.#classifying.abort();
    this.#classifying = new AbortController();
    const { signal } = this.#classifying;
    dismissProblem();
    const { selected } = this.#picker;
    for (const model of selected) {
      if (this.#results.get(modelKey(model)) instanceof Problem) {
        this.#results.delete(modelKey(model));
      }
    }
    this.#render();
    const missing = selected.filter((model) => !this.#results.has(modelKey(model)));
    await Promise.all(
      missing.map(async (model) => {
        const answer = model.runsHere ? classifyOnDevice : classify;
        const result = await answer(blob, name, model, signal, (progress) => {
          if (!signal.aborted) renderProgress(model, progress);
        }).catch((error) => {
          if (error instanceof Problem) return error;
          throw error;
        });
        if (signal.aborted) return;
        this.#results.set(modelKey(model), result);
        if (result instanceof Problem || this.#player.duration) this.#render();
        else this.#setDuration(result.audio.seconds);
      }),
    );
    if (signal.aborted) return;
    const problem = this.#commonProblem();
    const retry = () => (this.#recording ? this.#reclassify() : void this.open(blob, name));
    if (problem) showProblem(name, problem, retry);
    else getElement("status").textContent = ariaSummary(this.#outcomes);
  }

  #reclassify() {
    if (this.#recording) void this.#classify(this.#recording);
  }

  /** Show which places of the spectrogram speak for a label. */
  async #explain(/** @type {Model} */ model, /** @type {string} */ label) {
    if (!this.#recording) return;
    const { blob, name } = this.#recording;
    this.#explaining.abort();
    this.#explaining = new AbortController();
    const { signal } = this.#explaining;
    dismissProblem();
    try {
      const found = await explain(blob, name, model, label, signal);
      if (signal.aborted) return;
      const { start, end } = found.clip;
      const margin = (end - start) / 2;
      const { view } = this.#stage;
      const isSeen = start >= view.start && end <= view.end + margin;
      if (!isSeen || view.end - view.start > MAX_EXPLAINED_VIEW * (end - start)) {
        this.#stage.show({ start: start - margin, end: end + margin });
      }
      this.#evidence.show(found);
      this.#evidence.draw(this.#stage.view, this.#plot.maxHz);
      getElement("sound").scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!signal.aborted) showProblem(name, error, () => void this.#explain(model, label));
    }
  }

  /** Return the problem that all selected models have, to be told once. */
  #commonProblem() {
    const [first, ...others] = this.#outcomes.map(({ result }) => result);
    if (!(first instanceof Problem)) return null;
    const isCommon = others.every(
      (other) => other instanceof Problem && other.message === first.message,
    );
    return isCommon ? first : null;
  }

  get #outcomes() {
    return this.#picker.selected.map((model) => ({
      model,
      result: this.#results.get(modelKey(model)) ?? null,
    }));
  }

  get #classifications() {
    return this.#outcomes.flatMap(({ result }) =>
      result === null || result instanceof Problem ? [] : [result],
    );
  }

  #describe(/** @type {number} */ seconds) {
    const { model } = this.#picker;
    const result = model && this.#results.get(modelKey(model));
    return result && !(result instanceof Problem) ? labelAt(result, seconds) : "";
  }

  #drawPlot() {
    this.#plot.draw(this.#stage.view, this.#window);
  }

  /** Show another part of the recording. */
  #showView() {
    this.#drawPlot();
    this.#renderView();
  }

  #renderView() {
    const { view } = this.#stage;
    renderTimeTicks(getElement("time-ticks"), view);
    renderTimeline(this.#classifications, this.#picker.labels, view);
    this.#evidence.draw(view, this.#plot.maxHz);
  }

  #render() {
    const found = this.#classifications;
    const [first] = found;
    const { model, selected, labels } = this.#picker;
    getElement("recording").classList.toggle("is-compared", selected.length > 1);
    getElement("recording-info").textContent = first ? formatAudioInfo(first.audio) : "";
    this.#renderView();
    renderLegend(found, labels);
    renderSegmentTable(found);
    renderResults(this.#commonProblem() ? [] : this.#outcomes, {
      retry: () => this.#reclassify(),
      explain: (model, label) => void this.#explain(model, label),
    });
    const name = this.#recording?.name ?? "";
    getElement("downloads").replaceChildren(
      ...(first ? createDownloads(name, listSegments(first), first) : []),
      ...(first && !model?.runsHere ? [createCopyButton(curlCommand(first, name))] : []),
    );
    this.#stage.update();
  }
}

function modelKey(/** @type {Model} */ { task, name, runsHere }) {
  return `${task}/${name}${runsHere ? " here" : ""}`;
}

/** Return whether the service works on the machine that draws the page. */
function sharesMachine() {
  return /^(.*\.)?localhost$|^127\.|^\[::1\]$/.test(location.hostname);
}
