/** Power spectra of real signals of one length, by the radix-2 algorithm of Cooley and Tukey. */
export class Fft {
  #size;
  #cosines;
  #sines;
  #bitReversed;
  #real;
  #imaginary;

  /** @param {number} size a power of two */
  constructor(size) {
    const phase = (/** @type {number} */ i) => (2 * Math.PI * i) / size;
    this.#size = size;
    this.#cosines = Float32Array.from({ length: size / 2 }, (_, i) => Math.cos(phase(i)));
    this.#sines = Float32Array.from({ length: size / 2 }, (_, i) => Math.sin(phase(i)));
    this.#real = new Float32Array(size);
    this.#imaginary = new Float32Array(size);
    const bits = Math.log2(size);
    this.#bitReversed = Uint32Array.from({ length: size }, (_, i) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit++) reversed |= ((i >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
  }

  /**
   * Compute the squared magnitudes of the bins 0 to size / 2.
   * @param {ArrayLike<number>} signal `size` samples
   * @param {Float32Array} power receives `size / 2 + 1` values
   */
  computePower(signal, power) {
    const [size, real, imaginary] = [this.#size, this.#real, this.#imaginary];
    for (let i = 0; i < size; i++) real[i] = signal[this.#bitReversed[i]];
    imaginary.fill(0);
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const [i, j] = [start + k, start + k + half];
          const [cosine, sine] = [this.#cosines[k * stride], this.#sines[k * stride]];
          const r = real[j] * cosine + imaginary[j] * sine;
          const m = imaginary[j] * cosine - real[j] * sine;
          real[j] = real[i] - r;
          imaginary[j] = imaginary[i] - m;
          real[i] += r;
          imaginary[i] += m;
        }
      }
    }
    for (let i = 0; i <= size / 2; i++) power[i] = real[i] ** 2 + imaginary[i] ** 2;
  }
}

/** w[n] = a0 - (1 - a0) cos(2 pi n / N), as in the service. @type {Record<string, number>} */
const CONSTANT_TERMS = { hann: 0.5, hamming: 0.54, rectangular: 1 };

/**
 * Return a periodic analysis window whose values add up to 1.
 * @param {string} name hann, hamming or rectangular
 * @param {number} size
 * @returns {Float32Array}
 */
export function analysisWindow(name, size) {
  const a0 = CONSTANT_TERMS[name];
  const values = Float32Array.from(
    { length: size },
    (_, i) => a0 - (1 - a0) * Math.cos((2 * Math.PI * i) / size),
  );
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}
