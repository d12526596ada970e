import { Fft, analysisWindow } from "./fft.js";

/**
 * The samples of a recording.
 * @typedef {{samples: Float32Array, sampleRate: number, peak: number}} Samples mono; in Hz
 *
 * Levels of a whole recording that the service has computed.
 * @typedef {object} Levels
 * @property {Float32Array} times centres of the columns in seconds
 * @property {Float32Array} frequencies of the rows in Hz, evenly from 0 on
 * @property {Float32Array} db 0 the loudest point, [frequency][time]
 *
 * The part of a recording that is drawn, and how.
 * @typedef {object} Frame
 * @property {number} start in seconds
 * @property {number} end in seconds
 * @property {string} window
 * @property {number} columns
 * @property {number} rows
 */

const FFT_SIZE = 1024;
/** Frames of which a column of a long recording shows the loudest. */
const MAX_FRAMES_PER_COLUMN = 8;
/** Shown below the loudest point. */
export const TOP_DB = 75;

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

/** Rows of equal height on the mel scale, and the bins of a spectrum that they show. */
class MelRows {
  #edges;
  #maxDb;

  /**
   * @param {number} rows
   * @param {number} maxHz
   * @param {number} binHz from one bin of the spectrum to the next
   * @param {number} maxDb the loudest level
   */
  constructor(rows, maxHz, binHz, maxDb) {
    const maxMel = hzToMel(maxHz);
    this.#maxDb = maxDb;
    this.#edges = Float32Array.from(
      { length: rows + 1 },
      (_, i) => melToHz((maxMel * i) / rows) / binHz,
    );
  }

  /**
   * Return the levels of the rows, the lowest first, from 0 for silence to 255.
   * @param {Float32Array} power of each bin
   * @returns {Uint8Array}
   */
  computeLevels(power) {
    return Uint8Array.from({ length: this.#edges.length - 1 }, (_, row) =>
      this.#computeLevel(power, row),
    );
  }

  /** Low rows are narrower than a bin and lie between two, high rows hold several. */
  #computeLevel(/** @type {Float32Array} */ power, /** @type {number} */ row) {
    const [low, high] = [this.#edges[row], this.#edges[row + 1]];
    const middle = (low + high) / 2;
    const below = Math.min(Math.floor(middle), power.length - 2);
    const weight = middle - below;
    let value = power[below] * (1 - weight) + power[below + 1] * weight;
    for (let bin = Math.ceil(low); bin < high; bin++) value = Math.max(value, power[bin]);
    const db = 10 * Math.log10(value + 1e-20) - this.#maxDb;
    return 255 * Math.min(Math.max(1 + db / TOP_DB, 0), 1);
  }
}

/** The mel spectrogram of samples, column by column. */
export class Spectrogram {
  #samples;
  #first;
  #hop;
  #window;
  #rows;
  #fft = new Fft(FFT_SIZE);
  #frame = new Float32Array(FFT_SIZE);
  #power = new Float32Array(FFT_SIZE / 2 + 1);

  /**
   * @param {Samples} samples
   * @param {Frame} frame
   */
  constructor({ samples, sampleRate, peak }, { start, end, window, columns, rows }) {
    this.#samples = samples;
    this.#first = start * sampleRate;
    this.#hop = ((end - start) * sampleRate) / columns;
    this.#window = analysisWindow(window, FFT_SIZE);
    // Nothing can be louder than a sine of the recording's peak.
    const maxDb = 20 * Math.log10(Math.max(peak, 1e-6) / 2);
    this.#rows = new MelRows(rows, sampleRate / 2, sampleRate / FFT_SIZE, maxDb);
  }

  /**
   * Compute the levels of a column.
   * @param {number} index
   * @returns {Uint8Array}
   */
  computeColumn(index) {
    const wanted = Math.max(Math.round(this.#hop / (FFT_SIZE / 2)), 1);
    const frames = Math.min(wanted, MAX_FRAMES_PER_COLUMN);
    const power = new Float32Array(FFT_SIZE / 2 + 1);
    for (let i = 0; i < frames; i++) {
      const middle = this.#first + (index + (i + 0.5) / frames) * this.#hop;
      this.#computeFrame(Math.round(middle - FFT_SIZE / 2));
      for (let bin = 0; bin < power.length; bin++) {
        power[bin] = Math.max(power[bin], this.#power[bin]);
      }
    }
    return this.#rows.computeLevels(power);
  }

  #computeFrame(/** @type {number} */ start) {
    for (let i = 0; i < FFT_SIZE; i++) {
      this.#frame[i] = (this.#samples[start + i] ?? 0) * this.#window[i];
    }
    this.#fft.computePower(this.#frame, this.#power);
  }
}

/** The mel spectrogram of levels from the service, column by column. */
export class ServedSpectrogram {
  #levels;
  #frame;
  #rows;

  /**
   * @param {Levels} levels
   * @param {Frame} frame
   */
  constructor(levels, frame) {
    this.#levels = levels;
    this.#frame = frame;
    const { frequencies } = levels;
    this.#rows = new MelRows(frame.rows, frequencies[frequencies.length - 1], frequencies[1], 0);
  }

  /**
   * Compute the levels of a column.
   * @param {number} index
   * @returns {Uint8Array}
   */
  computeColumn(index) {
    const { times, frequencies, db } = this.#levels;
    const { start, end, columns } = this.#frame;
    const seconds = start + ((index + 0.5) * (end - start)) / columns;
    const step = times.length > 1 ? times[1] - times[0] : Infinity;
    const nearest = Math.round((seconds - times[0]) / step);
    const column = Math.min(Math.max(nearest, 0), times.length - 1);
    const power = Float32Array.from(
      frequencies,
      (_, row) => 10 ** (db[row * times.length + column] / 10),
    );
    return this.#rows.computeLevels(power);
  }
}
