/** Samples that swing by less are silent: 80 dB below full scale. */
const SILENCE = 1e-4;
/** Of the power that channels should add up to: a mix with less has lost them. */
const CANCELLED = 0.1;
/** Samples over which channels are compared. */
const PIECE = 65_536;
const [MIN_SAMPLE_RATE, MAX_SAMPLE_RATE] = [4_000, 768_000];
const MAX_CHANNELS = 32;

/** A recording cannot be classified; the message says what would be right. */
export class AudioError extends Error {}

/**
 * Mix channels: their mean, or the loudest where they cancel each other.
 * @param {Float32Array[]} channels of the same length
 * @param {number} sampleRate in Hz
 * @returns {Float32Array}
 * @throws {AudioError} the recording cannot be classified
 */
export function mixToMono(channels, sampleRate) {
  if (!channels.length || !channels[0].length) throw new AudioError("the recording is empty");
  if (sampleRate < MIN_SAMPLE_RATE || sampleRate > MAX_SAMPLE_RATE) {
    throw new AudioError(
      `the recording has a sample rate of ${sampleRate} Hz; ` +
        `${MIN_SAMPLE_RATE} to ${MAX_SAMPLE_RATE} Hz are accepted`,
    );
  }
  if (channels.length > MAX_CHANNELS) {
    throw new AudioError(
      `the recording has ${channels.length} channels; at most ${MAX_CHANNELS} are accepted`,
    );
  }
  if (!channels.every((channel) => channel.every(Number.isFinite))) {
    throw new AudioError("the recording has samples that are NaN or infinite");
  }
  if (channels.length === 1) return channels[0];
  const mono = channels[0].map((_, i) => mean(channels, i));
  for (let start = 0; start < mono.length; start += PIECE) {
    const powers = channels.map((channel) => variance(channel.subarray(start, start + PIECE)));
    const mixed = variance(mono.subarray(start, start + PIECE));
    const total = powers.reduce((sum, power) => sum + power);
    const loudest = powers.indexOf(Math.max(...powers));
    const isFaint = mixed < SILENCE ** 2 / 2 && SILENCE ** 2 / 2 <= powers[loudest];
    if (isFaint || mixed * channels.length < (CANCELLED * total) / channels.length) {
      mono.set(channels[loudest].subarray(start, start + PIECE), start);
    }
  }
  return mono;
}

/**
 * Return whether nothing can be heard; a constant level is no sound.
 * @param {Float32Array} samples
 * @returns {boolean}
 */
export function isSilent(samples) {
  let [low, high] = [Infinity, -Infinity];
  for (const sample of samples) {
    if (sample < low) low = sample;
    if (sample > high) high = sample;
  }
  return (high - low) / 2 < SILENCE;
}

function mean(/** @type {Float32Array[]} */ channels, /** @type {number} */ i) {
  let sum = 0;
  for (const channel of channels) sum += channel[i];
  return sum / channels.length;
}

function variance(/** @type {Float32Array} */ samples) {
  let [sum, squares] = [0, 0];
  for (const sample of samples) {
    sum += sample;
    squares += sample ** 2;
  }
  return Math.max(squares / samples.length - (sum / samples.length) ** 2, 0);
}
