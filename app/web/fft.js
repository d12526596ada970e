/** Power spectra of real signals of one length, by the radix-2 algorithm of Cooley and Tukey. */
export class Fft {
  /** @param {number} size a power of two */
  constructor(size) {
    this.size = size;
    this.cosines = Float32Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sines = Float32Array.from({ length: size / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / size));
    this.real = new Float32Array(size);
    this.imaginary = new Float32Array(size);
    const bits = Math.log2(size);
    this.reversed = Uint32Array.from({ length: size }, (_, i) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit++) reversed |= ((i >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
  }

  /**
   * Squared magnitudes of the bins 0 to size / 2.
   * @param {ArrayLike<number>} signal `size` samples
   * @param {Float32Array} power receives `size / 2 + 1` values
   */
  power(signal, power) {
    const { size, real, imaginary, cosines, sines } = this;
    for (let i = 0; i < size; i++) real[i] = signal[this.reversed[i]];
    imaginary.fill(0);
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const [i, j] = [start + k, start + k + half];
          const [c, s] = [cosines[k * stride], sines[k * stride]];
          const r = real[j] * c + imaginary[j] * s;
          const m = imaginary[j] * c - real[j] * s;
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

/** @type {Record<string, number>} */
const COSINE_SHARES = { hann: 0.5, hamming: 0.46, rectangular: 0 };

/**
 * A periodic analysis window that adds up to 1.
 * @param {string} name hann, hamming or rectangular
 * @param {number} size
 * @returns {Float32Array}
 */
export function analysisWindow(name, size) {
  const share = COSINE_SHARES[name];
  const values = Float32Array.from(
    { length: size },
    (_, i) => 1 - share - share * Math.cos((2 * Math.PI * i) / size),
  );
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}
