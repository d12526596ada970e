import { wav } from "./wav.js";

const RATE = 22_050;

/** A sound as a function of time in seconds, from -1 to 1. */
/** @typedef {(seconds: number) => number} Wave */

/** @type {Wave} */
const noise = () => 2 * Math.random() - 1;
/** @type {Wave} */
const silence = (t) => 0.003 * noise(t);
/** @type {Wave} */
const siren = (t) => Math.sin(2 * Math.PI * (900 * t - (400 / Math.PI) * Math.cos(Math.PI * t)));
/** @type {Wave} */
const horn = (t) => {
  const tone = (/** @type {number} */ hertz) => Math.sign(Math.sin(2 * Math.PI * hertz * t));
  return t % 1.5 < 1.1 ? (tone(415) + tone(523)) / 2 : silence(t);
};
/** @type {Wave} */
const hammer = (t) => noise(t) * Math.exp(-25 * (t % 0.07)) * (t % 2 < 1.6 ? 1 : 0.01);
/** @type {Wave} */
const sweep = (t) => Math.sin((2 * Math.PI * 50 * (2 ** t - 1)) / Math.LN2);

/** @type {Record<string, [Wave, number][]>} name -> sounds one after the other, each with its seconds */
const SCORES = {
  Siren: [[siren, 4]],
  Jackhammer: [[hammer, 4]],
  "Tone sweep": [[sweep, 7]],
  "Street scene": [[horn, 4], [silence, 1], [siren, 6], [silence, 1], [hammer, 6]],
};

/** Names of the sounds that the page can make. */
export const EXAMPLES = Object.keys(SCORES);

/**
 * Make a sound.
 * @param {string} name one of EXAMPLES
 * @returns {Blob}
 */
export function make(name) {
  const parts = SCORES[name].map(([wave, seconds]) =>
    Float32Array.from({ length: seconds * RATE }, (_, i) => 0.5 * wave(i / RATE)),
  );
  const samples = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    samples.set(part, place);
    place += part.length;
  }
  return wav(samples, RATE);
}
