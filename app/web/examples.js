import { encodeWav } from "./audio.js";

const SAMPLE_RATE = 22_050;

/** @typedef {(seconds: number) => number} Waveform the value at a time, from -1 to 1 */

/** @type {Waveform} */
const noise = () => 2 * Math.random() - 1;
/** @type {Waveform} */
const silence = (t) => 0.003 * noise(t);
/** @type {Waveform} */
const siren = (t) => Math.sin(2 * Math.PI * (900 * t - (400 / Math.PI) * Math.cos(Math.PI * t)));
/** @type {Waveform} */
const horn = (t) => {
  const square = (/** @type {number} */ hertz) => Math.sign(Math.sin(2 * Math.PI * hertz * t));
  return t % 1.5 < 1.1 ? (square(415) + square(523)) / 2 : silence(t);
};
/** @type {Waveform} */
const hammer = (t) => noise(t) * Math.exp(-25 * (t % 0.07)) * (t % 2 < 1.6 ? 1 : 0.01);
/** @type {Waveform} */
const sweep = (t) => Math.sin((2 * Math.PI * 50 * (2 ** t - 1)) / Math.LN2);

/** Waveforms in turn, each with its seconds. @type {Record<string, [Waveform, number][]>} */
const SEQUENCES = {
  Siren: [[siren, 4]],
  Jackhammer: [[hammer, 4]],
  "Tone sweep": [[sweep, 7]],
  "Street scene": [[horn, 4], [silence, 1], [siren, 6], [silence, 1], [hammer, 6]],
};

/** Names of the sounds that the page can synthesise. */
export const EXAMPLES = Object.keys(SEQUENCES);

/**
 * Synthesise a sound.
 * @param {string} name one of EXAMPLES
 * @returns {Blob}
 */
export function synthesise(name) {
  const parts = SEQUENCES[name].map(([waveform, seconds]) =>
    Float32Array.from(
      { length: seconds * SAMPLE_RATE },
      (_, i) => 0.5 * waveform(i / SAMPLE_RATE),
    ),
  );
  const samples = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    samples.set(part, offset);
    offset += part.length;
  }
  return encodeWav(samples, SAMPLE_RATE);
}
