/** @import { Frame, Levels } from "./spectrogram.js" */
import { createElement } from "./dom.js";
import { hzToMel } from "./spectrogram.js";
import { spectrogramColours } from "./theme.js";

/**
 * A part of a recording.
 * @typedef {{start: number, end: number}} Span in seconds
 *
 * What is drawn: channels that the browser has decoded, or levels that the service has computed.
 * @typedef {{channels: Float32Array[], sampleRate: number} | Levels} PlotSource
 *
 * A request to the worker, and its answers: the waveform, then blocks of the spectrogram.
 *
 * @typedef {object} PlotRequest
 * @property {number} job
 * @property {PlotSource | null} source of another recording than before
 * @property {Frame} frame
 *
 * @typedef {{job: number, extremes: Float32Array}} WaveformAnswer lowest and highest of each column
 * @typedef {{job: number, first: number, levels: Uint8Array}} BlockAnswer columns from the first on
 */

/** Hz */
const FREQUENCY_TICKS = [250, 500, 1000, 2000, 4000, 8000];
/** Of the height of the canvas, between two ticks. */
const MIN_TICK_GAP = 0.12;
/** Milliseconds in which a canvas keeps its size before it is drawn anew. */
const RESIZE_PAUSE = 150;

/** Draws the spectrogram of a recording at the resolution of the device; a worker computes it. */
export class SpectrogramCanvas {
  #canvas;
  #ticks;
  #onWaveform;
  /** @type {Worker | null} */
  #worker = null;
  #job = 0;
  /** Not yet sent to the worker. @type {PlotSource | null} */
  #unsent = null;
  /** @type {(Span & {window: string}) | null} */
  #view = null;
  #levels = new Uint8Array();
  #maxHz = 1;
  #resizing = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} ticks receives the frequencies
   * @param {(extremes: Float32Array) => void} [onWaveform] called with the lowest and the highest
   *   sample of each column in turn, as fractions of the recording's peak
   */
  constructor(canvas, ticks, onWaveform) {
    this.#canvas = canvas;
    this.#ticks = ticks;
    this.#onWaveform = onWaveform;
    new ResizeObserver(() => {
      clearTimeout(this.#resizing);
      this.#resizing = setTimeout(() => this.#resize(), RESIZE_PAUSE);
    }).observe(canvas);
  }

  /**
   * Take another recording; null clears the canvas.
   * @param {PlotSource | null} source
   */
  load(source) {
    this.#job++;
    this.#view = null;
    this.#unsent = source;
    this.#levels = new Uint8Array();
    this.#canvas.dataset.drawn = "false";
    this.#canvas.width = this.#canvas.width; // clears it
    if (!source) {
      this.#worker?.terminate();
      this.#worker = null;
      this.#ticks.replaceChildren();
      return;
    }
    this.#maxHz =
      "channels" in source
        ? source.sampleRate / 2
        : source.frequencies[source.frequencies.length - 1];
    this.#drawTicks();
  }

  /** The highest frequency that is drawn, in Hz. */
  get maxHz() {
    return this.#maxHz;
  }

  /**
   * Draw a part of the recording.
   * @param {Span} span
   * @param {string} window
   */
  draw({ start, end }, window) {
    this.#view = { start, end, window };
    this.#request();
  }

  /** Draw everything again in the colours of the theme. */
  repaint() {
    this.#paint(0, this.#levels);
  }

  #resize() {
    const { width, height } = this.#deviceSize();
    const { width: oldWidth, height: oldHeight } = this.#canvas;
    if (width && (width !== oldWidth || height !== oldHeight)) this.#request();
  }

  #deviceSize() {
    const { clientWidth, clientHeight } = this.#canvas;
    const scale = Math.min(devicePixelRatio, 2);
    return { width: Math.round(clientWidth * scale), height: Math.round(clientHeight * scale) };
  }

  #request() {
    const { width: columns, height: rows } = this.#deviceSize();
    // While nothing is shown, there is no size; the canvas is drawn once it has one.
    if (!this.#view || !columns) return;
    if (!this.#worker) {
      const url = new URL("spectrogram-worker.js", import.meta.url);
      this.#worker = new Worker(url, { type: "module" });
      this.#worker.onmessage = ({ data }) => this.#receive(data);
    }
    this.#canvas.width = columns;
    this.#canvas.height = rows;
    this.#canvas.dataset.drawn = "false";
    this.#levels = new Uint8Array(columns * rows);
    const frame = { ...this.#view, columns, rows };
    /** @type {PlotRequest} */
    const request = { job: ++this.#job, source: this.#unsent, frame };
    this.#worker.postMessage(request);
    this.#unsent = null;
  }

  #receive(/** @type {WaveformAnswer | BlockAnswer} */ answer) {
    if (answer.job !== this.#job) return;
    if ("extremes" in answer) {
      this.#onWaveform?.(answer.extremes);
      return;
    }
    const { first, levels } = answer;
    const { width, height } = this.#canvas;
    this.#levels.set(levels, first * height);
    this.#paint(first, levels);
    this.#canvas.dataset.drawn = String(first + levels.length / height === width);
  }

  #paint(/** @type {number} */ first, /** @type {Uint8Array} */ levels) {
    const rows = this.#canvas.height;
    const columns = levels.length / rows;
    const context = this.#canvas.getContext("2d");
    if (!columns || !context) return;
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

  #drawTicks() {
    const height = (/** @type {number} */ hz) => hzToMel(hz) / hzToMel(this.#maxHz);
    const shown = FREQUENCY_TICKS.filter(
      (hz) => height(hz) < 0.97 && height(2 * hz) - height(hz) > MIN_TICK_GAP,
    );
    this.#ticks.replaceChildren(
      ...shown.map((hz) => {
        const tick = createElement("span", {}, hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`);
        tick.style.bottom = `${100 * height(hz)}%`;
        return tick;
      }),
    );
  }
}
