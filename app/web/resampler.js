/** Of the sinc, on either side. */
const ZERO_CROSSINGS = 24;
/** Of the lower Nyquist frequency, where the band ends. */
const ROLL_OFF = 0.945;
/** Of the Kaiser window. */
const BETA = 10;

/** Resamples sound that comes in pieces, by a sinc under a Kaiser window. */
export class Resampler {
  #up;
  #down;
  #half;
  #cutoff;
  /** By how far an output lies behind a sample, in steps of 1 / up. @type {Map<number, Float32Array>} */
  #kernels = new Map();
  /** Samples that are still needed; the first is that of index #first. */
  #held;
  #first;
  #received = 0;
  #sent = 0;

  /**
   * @param {number} oldRate in Hz
   * @param {number} newRate in Hz
   */
  constructor(oldRate, newRate) {
    const divisor = greatestCommonDivisor(oldRate, newRate);
    this.#up = newRate / divisor;
    this.#down = oldRate / divisor;
    this.#cutoff = ROLL_OFF * Math.min(1, newRate / oldRate);
    this.#half = Math.ceil(ZERO_CROSSINGS / this.#cutoff);
    // There is silence before the beginning.
    this.#held = new Float32Array(this.#half);
    this.#first = -this.#half;
  }

  /**
   * Take the next samples, and return those that are complete.
   * @param {Float32Array} samples
   * @returns {Float32Array}
   */
  push(samples) {
    if (this.#up === this.#down) return samples;
    this.#received += samples.length;
    this.#append(samples);
    const complete = this.#received - this.#half;
    return this.#take(Math.ceil((complete * this.#up) / this.#down));
  }

  /**
   * Return the rest, once there is no more to come.
   * @returns {Float32Array}
   */
  finish() {
    if (this.#up === this.#down) return new Float32Array(0);
    // There is silence behind the end, too.
    this.#append(new Float32Array(this.#half + 1));
    return this.#take(Math.max(1, Math.floor((this.#received * this.#up) / this.#down)));
  }

  #append(/** @type {Float32Array} */ samples) {
    const joined = new Float32Array(this.#held.length + samples.length);
    joined.set(this.#held);
    joined.set(samples, this.#held.length);
    this.#held = joined;
  }

  /** Return the samples up to one, of which all neighbours are held. */
  #take(/** @type {number} */ end) {
    const taken = new Float32Array(Math.max(end - this.#sent, 0));
    const size = 2 * this.#half + 1;
    for (let i = 0; i < taken.length; i++) {
      const place = (this.#sent + i) * this.#down;
      const start = Math.floor(place / this.#up) - this.#half - this.#first;
      const kernel = this.#kernel(place % this.#up);
      let sum = 0;
      for (let tap = 0; tap < size; tap++) sum += kernel[tap] * this.#held[start + tap];
      taken[i] = sum;
    }
    this.#sent += taken.length;
    const next = Math.floor((this.#sent * this.#down) / this.#up) - this.#half;
    this.#held = this.#held.slice(next - this.#first);
    this.#first = next;
    return taken;
  }

  #kernel(/** @type {number} */ phase) {
    const found = this.#kernels.get(phase);
    if (found) return found;
    const weights = Array.from({ length: 2 * this.#half + 1 }, (_, tap) => {
      const distance = phase / this.#up - (tap - this.#half);
      return sinc(this.#cutoff * distance) * kaiser(distance / (this.#half + 1));
    });
    const sum = weights.reduce((total, weight) => total + weight);
    const kernel = Float32Array.from(weights, (weight) => weight / sum);
    this.#kernels.set(phase, kernel);
    return kernel;
  }
}

/**
 * Resample a whole recording.
 * @param {Float32Array} samples
 * @param {number} oldRate in Hz
 * @param {number} newRate in Hz
 * @returns {Float32Array}
 */
export function resample(samples, oldRate, newRate) {
  if (oldRate === newRate) return samples;
  const resampler = new Resampler(oldRate, newRate);
  const most = resampler.push(samples);
  const rest = resampler.finish();
  const all = new Float32Array(most.length + rest.length);
  all.set(most);
  all.set(rest, most.length);
  return all;
}

function sinc(/** @type {number} */ x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(/** @type {number} */ place) {
  return bessel(BETA * Math.sqrt(Math.max(1 - place ** 2, 0))) / bessel(BETA);
}

/** Return the modified Bessel function of the first kind and order 0, by its power series. */
function bessel(/** @type {number} */ x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** @returns {number} */
function greatestCommonDivisor(/** @type {number} */ a, /** @type {number} */ b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
