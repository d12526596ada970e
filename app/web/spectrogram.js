import { Fft, analysisWindow } from "./fft.js";

const FFT_SIZE = 1024;
/** Frames of which a column of a long recording shows the loudest. */
const MAX_FRAMES_PER_COLUMN = 8;
const TOP_DB = 75;

// Slaney's mel scale, as in the service: linear to 1 kHz, logarithmic above.
const HZ_PER_MEL = 200 / 3;
const BREAK_HZ = 1000;
const BREAK_MEL = BREAK_HZ / HZ_PER_MEL;
const LOG_STEP = Math.log(6.4) / 27;

/**
 * Convert a frequency in Hz to mels on Slaney's scale.
 * @param {number} hz
 * @returns {number}
 */
export function hzToMel(hz) {
  return hz < BREAK_HZ ? hz / HZ_PER_MEL : BREAK_MEL + Math.log(hz / BREAK_HZ) / LOG_STEP;
}

/**
 * Convert mels on Slaney's scale to a frequency in Hz.
 * @param {number} mel
 * @returns {number}
 */
export function melToHz(mel) {
  return mel < BREAK_MEL ? mel * HZ_PER_MEL : BREAK_HZ * Math.exp(LOG_STEP * (mel - BREAK_MEL));
}

/** The mel spectrogram of a recording, column by column. */
export class Spectrogram {
  #samples;
  #columns;
  #rows;
  #window;
  #rowEdges;
  #maxDb;
  #fft = new Fft(FFT_SIZE);
  #frame = new Float32Array(FFT_SIZE);
  #power = new Float32Array(FFT_SIZE / 2 + 1);

  /**
   * @param {Float32Array} samples mono
   * @param {number} sampleRate in Hz
   * @param {string} window
   * @param {number} columns
   * @param {number} rows
   */
  constructor(samples, sampleRate, window, columns, rows) {
    this.#samples = samples;
    this.#columns = columns;
    this.#rows = rows;
    this.#window = analysisWindow(window, FFT_SIZE);
    const maxMel = hzToMel(sampleRate / 2);
    this.#rowEdges = Float32Array.from(
      { length: rows + 1 },
      (_, i) => (melToHz((maxMel * i) / rows) * FFT_SIZE) / sampleRate,
    );
    // Nothing can be louder than a sine of the recording's peak.
    const peak = samples.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-6);
    this.#maxDb = 20 * Math.log10(peak / 2);
  }

  /**
   * Compute the levels of a column, bottom row first, from 0 for silence to 255.
   * @param {number} index
   * @returns {Uint8Array}
   */
  computeColumn(index) {
    const hop = this.#samples.length / this.#columns;
    const wanted = Math.max(Math.round(hop / (FFT_SIZE / 2)), 1);
    const frames = Math.min(wanted, MAX_FRAMES_PER_COLUMN);
    const power = new Float32Array(FFT_SIZE / 2 + 1);
    for (let i = 0; i < frames; i++) {
      this.#computeFrame(Math.round((index + (i + 0.5) / frames) * hop - FFT_SIZE / 2));
      for (let bin = 0; bin < power.length; bin++) {
        power[bin] = Math.max(power[bin], this.#power[bin]);
      }
    }
    return Uint8Array.from({ length: this.#rows }, (_, row) => this.#computeLevel(power, row));
  }

  #computeFrame(/** @type {number} */ start) {
    for (let i = 0; i < FFT_SIZE; i++) {
      this.#frame[i] = (this.#samples[start + i] ?? 0) * this.#window[i];
    }
    this.#fft.computePower(this.#frame, this.#power);
  }

  /** Low rows are narrower than a bin and lie between two, high rows hold several. */
  #computeLevel(/** @type {Float32Array} */ power, /** @type {number} */ row) {
    const [low, high] = [this.#rowEdges[row], this.#rowEdges[row + 1]];
    const middle = (low + high) / 2;
    const below = Math.min(Math.floor(middle), power.length - 2);
    const weight = middle - below;
    let value = power[below] * (1 - weight) + power[below + 1] * weight;
    for (let bin = Math.ceil(low); bin < high; bin++) value = Math.max(value, power[bin]);
    const db = 10 * Math.log10(value + 1e-20) - this.#maxDb;
    return 255 * Math.min(Math.max(1 + db / TOP_DB, 0), 1);
  }
}
