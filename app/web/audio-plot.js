import { createElement, getElement } from "./dom.js";
import { hzToMel } from "./spectrogram.js";
import { spectrogramColours } from "./theme.js";

/**
 * A request to the worker, and its answers: the waveform, then blocks of the spectrogram.
 *
 * @typedef {object} PlotRequest
 * @property {number} job
 * @property {Float32Array<ArrayBuffer>[]} [channels] of another recording than before
 * @property {number} sampleRate in Hz
 * @property {string} window
 * @property {number} columns
 * @property {number} rows
 *
 * @typedef {{job: number, extremes: Float32Array}} WaveformAnswer lowest and highest of each column
 * @typedef {{job: number, first: number, levels: Uint8Array}} BlockAnswer columns from the first on
 */

/** Hz */
const FREQUENCY_TICKS = [500, 1000, 2000, 4000, 8000];

/** Draws the waveform and the spectrogram of a recording; a worker computes them. */
export class AudioPlot {
  #waveform = getElement("waveform", HTMLCanvasElement);
  #spectrogram = getElement("spectrogram", HTMLCanvasElement);
  #worker = new Worker(new URL("audio-plot-worker.js", import.meta.url), { type: "module" });
  /** The newest request, and the one that sent the recording. */
  #job = 0;
  #recordingJob = 0;
  #hasAudio = false;
  #window = "";
  #sampleRate = 1;
  /** @type {Float32Array} */
  #extremes = new Float32Array();
  /** @type {Uint8Array} */
  #levels = new Uint8Array();

  constructor() {
    this.#worker.onmessage = ({ data }) => this.#receive(data);
  }

  /**
   * Draw a recording; null draws nothing.
   * @param {AudioBuffer | null} audio
   * @param {string} window
   */
  load(audio, window) {
    this.#extremes = new Float32Array();
    this.#levels = new Uint8Array(this.#spectrogram.width * this.#spectrogram.height);
    this.#hasAudio = audio !== null;
    this.#recordingJob = ++this.#job;
    this.repaint();
    if (!audio) return;
    this.#sampleRate = audio.sampleRate;
    this.#window = window;
    const channels = Array.from({ length: audio.numberOfChannels }, (_, i) =>
      audio.getChannelData(i),
    );
    this.#request(channels);
    this.#drawFrequencyTicks();
  }

  /**
   * Draw the spectrogram of the same recording with another window.
   * @param {string} window
   */
  setWindow(window) {
    if (!this.#hasAudio || window === this.#window) return;
    this.#window = window;
    this.#job++;
    this.#request();
  }

  /** Draw everything again in the colours of the theme. */
  repaint() {
    this.#drawWaveform();
    this.#drawSpectrogram(0, this.#levels);
  }

  /** @param {PlotRequest["channels"]} [channels] of another recording than before */
  #request(channels) {
    const { width: columns, height: rows } = this.#spectrogram;
    this.#spectrogram.dataset.drawn = "false";
    const [job, sampleRate, window] = [this.#job, this.#sampleRate, this.#window];
    /** @type {PlotRequest} */
    const request = { job, channels, sampleRate, window, columns, rows };
    this.#worker.postMessage(request);
  }

  #receive(/** @type {WaveformAnswer | BlockAnswer} */ answer) {
    if ("extremes" in answer) {
      if (answer.job !== this.#recordingJob) return;
      this.#extremes = answer.extremes;
      this.#drawWaveform();
    } else if (answer.job === this.#job) {
      const { first, levels } = answer;
      const { width, height } = this.#spectrogram;
      this.#levels.set(levels, first * height);
      this.#drawSpectrogram(first, levels);
      this.#spectrogram.dataset.drawn = String(first + levels.length / height === width);
    }
  }

  #drawWaveform() {
    const { width, height } = this.#waveform;
    const context = getContext(this.#waveform);
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(this.#waveform).color;
    const peak = this.#extremes.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-6);
    const scale = (0.94 * height) / 2 / peak;
    for (let column = 0; 2 * column < this.#extremes.length; column++) {
      const [low, high] = this.#extremes.subarray(2 * column);
      const top = height / 2 - high * scale;
      context.fillRect(column, top, 1, Math.max((high - low) * scale, 1));
    }
  }

  #drawSpectrogram(/** @type {number} */ first, /** @type {Uint8Array} */ levels) {
    const rows = this.#spectrogram.height;
    const columns = levels.length / rows;
    if (!columns) return;
    const context = getContext(this.#spectrogram);
    const image = context.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = spectrogramColours();
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < rows; row++) {
        pixels[(rows - 1 - row) * columns + column] = colours[levels[column * rows + row]];
      }
    }
    context.putImageData(image, first, 0);
  }

  #drawFrequencyTicks() {
    const height = (/** @type {number} */ hz) => hzToMel(hz) / hzToMel(this.#sampleRate / 2);
    getElement("frequencies").replaceChildren(
      ...FREQUENCY_TICKS.filter((hz) => height(hz) < 0.97).map((hz) => {
        const tick = createElement("span", {}, hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`);
        tick.style.bottom = `${100 * height(hz)}%`;
        return tick;
      }),
    );
  }
}

function getContext(/** @type {HTMLCanvasElement} */ canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
