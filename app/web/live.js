/** @import { StreamPrediction } from "./api.js" */
/** @import { ModelPicker } from "./model-picker.js" */
/** @import { OnSound } from "./sources.js" */
/** @import { LabelSpan } from "./timeline.js" */
import { Problem } from "./api.js";
import { createButton, getElement } from "./dom.js";
import { createDownloads } from "./downloads.js";
import { formatLabel, formatPercent, formatReason, formatTime } from "./format.js";
import { LiveStream } from "./live-stream.js";
import { dismissProblem, showProblem } from "./problems.js";
import { createBars } from "./results.js";
import { createTimelineRow, renderTimeTicks } from "./timeline.js";

/** @typedef {LabelSpan & {probability: number, reason?: string | null}} LiveSpan */

/** Of the running timeline, in seconds. */
const SHOWN_SECONDS = 60;
/** Of the level meter, dB below full scale. */
const METER_DB = 60;

/** The live microphone: its level, what is heard now, and a timeline that runs. */
export class LiveView {
  #picker;
  #onSound;
  /** @type {LiveSpan[]} */
  #spans = [];
  #isRunning = false;
  #button = getElement("live-button", HTMLButtonElement);
  #stream = new LiveStream({
    onLevel: (peak) => showLevel(peak),
    onPrediction: (prediction) => this.#add(prediction),
    onProblem: (problem) => {
      this.#setRunning(false);
      if (!this.#spans.length) this.close();
      showProblem("Microphone", problem);
    },
  });

  /**
   * @param {ModelPicker} picker
   * @param {OnSound} onSound called with the recording, where it is to be opened
   * @param {() => void} onStart called before the microphone is opened
   */
  constructor(picker, onSound, onStart) {
    this.#picker = picker;
    this.#onSound = onSound;
    this.#button.onclick = () => {
      if (this.#isRunning) this.stop();
      else void this.#start(onStart);
    };
    getElement("live-stop").onclick = () => {
      this.stop();
      this.#button.focus();
    };
  }

  /** Stop, with what was heard still shown. */
  stop() {
    if (!this.#isRunning) return;
    this.#stream.stop();
    this.#setRunning(false);
  }

  /** Stop, and show nothing. */
  close() {
    this.stop();
    getElement("live").hidden = true;
  }

  /** Ask the model that is selected now. */
  updateModels() {
    const { model } = this.#picker;
    if (!this.#isRunning || !model) return;
    this.#clear();
    this.#stream.setModel(model);
  }

  async #start(/** @type {() => void} */ onStart) {
    const { model } = this.#picker;
    if (!model) return;
    onStart();
    dismissProblem();
    this.#clear();
    this.#button.disabled = true;
    try {
      await this.#stream.start(model, (recording) => this.#offer(recording));
      getElement("live").hidden = false;
      this.#setRunning(true);
      this.#render();
      getElement("live").scrollIntoView({ block: "nearest" });
    } catch (error) {
      this.#stream.stop();
      if (!(error instanceof Problem)) throw error;
      showProblem("Microphone", error);
    } finally {
      this.#button.disabled = false;
    }
  }

  #setRunning(/** @type {boolean} */ isRunning) {
    this.#isRunning = isRunning;
    this.#button.classList.toggle("is-recording", isRunning);
    getElement("live-text").textContent = isRunning ? "Stop listening" : "Listen live";
    getElement("live-title").textContent = isRunning ? "Live" : "What was heard live";
    getElement("live-stop").hidden = !isRunning;
    getElement("live-level").hidden = !isRunning;
  }

  #clear() {
    this.#spans = [];
    getElement("live-heard").textContent = "Listening…";
    getElement("live-note").textContent = "";
    getElement("live-bars").replaceChildren();
    getElement("live-downloads").replaceChildren();
    this.#render();
  }

  #add(/** @type {StreamPrediction} */ { end, label, reason, probability, ranked }) {
    const last = this.#spans.at(-1);
    const start = last?.end ?? 0;
    if (last && last.label === label) last.end = end;
    else this.#spans.push({ start, end, label, reason, probability });
    const text = label === null ? formatLabel(null) : `${formatLabel(label)} ${formatPercent(probability)}`;
    getElement("live-heard").textContent = text;
    getElement("live-note").textContent = label === null ? formatReason(reason) : "";
    const bars = createBars(
      ranked.map((each) => [each.label, each.probability]),
      this.#picker.labels,
    );
    getElement("live-bars").replaceChildren(bars);
    if (last?.label !== label) getElement("status").textContent = text;
    this.#render();
  }

  #render() {
    const now = this.#spans.at(-1)?.end ?? 0;
    const view = { start: Math.max(now - SHOWN_SECONDS, 0), end: Math.max(now, SHOWN_SECONDS) };
    const row = createTimelineRow(this.#spans, this.#picker.labels, view);
    getElement("live-timeline").replaceChildren(row);
    renderTimeTicks(getElement("live-ticks"), view);
    getElement("live-clock").textContent = formatTime(now);
  }

  /** Offer the recording, and the timeline, once there is no more to come. */
  #offer(/** @type {File} */ recording) {
    const open = () => this.#onSound(recording, "Live recording");
    getElement("live-downloads").replaceChildren(
      createButton("Open as a recording", open, { className: "small" }),
      ...(this.#spans.length ? createDownloads("live", this.#spans, this.#spans) : []),
    );
  }
}

function showLevel(/** @type {number} */ peak) {
  const db = Math.max(20 * Math.log10(peak || 1e-9), -METER_DB);
  const meter = getElement("live-level");
  meter.setAttribute("aria-valuenow", db.toFixed(0));
  meter.setAttribute("aria-valuetext", `${db.toFixed(0)} decibels`);
  const fill = /** @type {HTMLElement} */ (meter.firstElementChild);
  fill.style.width = `${100 * (1 + db / METER_DB)}%`;
  fill.classList.toggle("is-loud", db > -1);
}
