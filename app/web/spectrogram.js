import { Fft, analysisWindow } from "./fft.js";

const SIZE = 1024;
/** Frames looked at for one column of a long recording; the loudest counts. */
const MOST_FRAMES = 8;
const RANGE_DB = 75;

/** Hz and mel: pitch as it is heard, near linear below 1 kHz and logarithmic above. */
const mel = (/** @type {number} */ hertz) => 2595 * Math.log10(1 + hertz / 700);
const hertz = (/** @type {number} */ mels) => 700 * (10 ** (mels / 2595) - 1);

/**
 * How high a frequency stands in the picture, from 0 at the bottom to 1.
 * @param {number} frequency Hz
 * @param {number} rate samples per second
 * @returns {number}
 */
export function pitchHeight(frequency, rate) {
  return mel(frequency) / mel(rate / 2);
}

/** Levels of a recording's spectrogram, column by column. */
export class Spectrogram {
  /**
   * @param {Float32Array} samples mono
   * @param {number} rate samples per second
   * @param {string} window
   * @param {number} columns
   * @param {number} rows
   */
  constructor(samples, rate, window, columns, rows) {
    this.samples = samples;
    this.columns = columns;
    this.rows = rows;
    this.fft = new Fft(SIZE);
    this.window = analysisWindow(window, SIZE);
    this.edges = Float32Array.from(
      { length: rows + 1 },
      (_, i) => (hertz((mel(rate / 2) * i) / rows) * SIZE) / rate,
    );
    // A sine of the recording's peak is the loudest that there can be.
    const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    this.loudest = 20 * Math.log10(peak / 2);
    this.frame = new Float32Array(SIZE);
    this.power = new Float32Array(SIZE / 2 + 1);
  }

  /**
   * One column, bottom row first, 0 for silence to 255.
   * @param {number} index
   * @returns {Uint8Array}
   */
  column(index) {
    const hop = this.samples.length / this.columns;
    const frames = Math.min(Math.max(Math.round(hop / (SIZE / 2)), 1), MOST_FRAMES);
    const loudest = new Float32Array(SIZE / 2 + 1);
    for (let i = 0; i < frames; i++) {
      this.#transform(Math.round((index + (i + 0.5) / frames) * hop - SIZE / 2));
      for (let bin = 0; bin < loudest.length; bin++) {
        loudest[bin] = Math.max(loudest[bin], this.power[bin]);
      }
    }
    return Uint8Array.from({ length: this.rows }, (_, row) => this.#level(loudest, row));
  }

  #transform(/** @type {number} */ start) {
    for (let i = 0; i < SIZE; i++) this.frame[i] = (this.samples[start + i] ?? 0) * this.window[i];
    this.fft.power(this.frame, this.power);
  }

  /** Low rows are narrower than a bin and lie between two, high rows hold several. */
  #level(/** @type {Float32Array} */ power, /** @type {number} */ row) {
    const [low, high] = [this.edges[row], this.edges[row + 1]];
    const middle = (low + high) / 2;
    const below = Math.min(Math.floor(middle), power.length - 2);
    const part = middle - below;
    let value = power[below] * (1 - part) + power[below + 1] * part;
    for (let bin = Math.ceil(low); bin < high; bin++) value = Math.max(value, power[bin]);
    const db = 10 * Math.log10(value + 1e-20) - this.loudest;
    return 255 * Math.min(Math.max(1 + db / RANGE_DB, 0), 1);
  }
}
