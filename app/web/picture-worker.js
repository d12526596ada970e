import { Spectrogram } from "./spectrogram.js";

const SLICE = 32;
let newest = 0;
/** @type {Float32Array} */
let samples = new Float32Array();

/**
 * Told `{job, channels?, rate, window, columns, rows}`; tells `{job, peaks}` where channels
 * were given, then `{job, first, levels}` slice by slice. A newer job ends an older one.
 */
onmessage = async ({ data: { job, channels, rate, window, columns, rows } }) => {
  newest = job;
  if (channels) {
    samples = mix(channels);
    postMessage({ job, peaks: peaks(columns) });
  }
  const spectrogram = new Spectrogram(samples, rate, window, columns, rows);
  for (let first = 0; first < columns; first += SLICE) {
    const levels = new Uint8Array(SLICE * rows);
    for (let i = 0; i < SLICE; i++) levels.set(spectrogram.column(first + i), i * rows);
    postMessage({ job, first, levels });
    // Lets a newer job in.
    await new Promise((resolve) => setTimeout(resolve));
    if (job !== newest) return;
  }
};

/** The mean of the channels. */
function mix(/** @type {Float32Array[]} */ channels) {
  const [mixed, ...others] = channels;
  for (const channel of others) {
    for (let i = 0; i < mixed.length; i++) mixed[i] += channel[i];
  }
  for (let i = 0; i < mixed.length; i++) mixed[i] /= channels.length;
  return mixed;
}

/** The lowest and highest sample of each column, in turn. */
function peaks(/** @type {number} */ columns) {
  const found = new Float32Array(2 * columns);
  for (let column = 0; column < columns; column++) {
    const start = Math.floor((column * samples.length) / columns);
    const end = Math.max(Math.floor(((column + 1) * samples.length) / columns), start + 1);
    let [low, high] = [Infinity, -Infinity];
    for (let i = start; i < end && i < samples.length; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    if (low <= high) found.set([low, high], 2 * column);
  }
  return found;
}
