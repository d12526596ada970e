/** @import { PlotRequest } from "./audio-plot.js" */
import { Spectrogram } from "./spectrogram.js";

const BLOCK_COLUMNS = 32;
let newestJob = 0;
let samples = new Float32Array();

/**
 * Answer a PlotRequest with the waveform, if channels are given, then with the spectrogram, block
 * by block. A newer request ends an older one.
 * @param {MessageEvent<PlotRequest>} event
 */
onmessage = async ({ data: { job, channels, sampleRate, window, columns, rows } }) => {
  newestJob = job;
  if (channels) {
    samples = downmix(channels);
    postMessage({ job, extremes: computeExtremes(columns) });
  }
  const spectrogram = new Spectrogram(samples, sampleRate, window, columns, rows);
  for (let first = 0; first < columns; first += BLOCK_COLUMNS) {
    const levels = new Uint8Array(BLOCK_COLUMNS * rows);
    for (let i = 0; i < BLOCK_COLUMNS; i++) {
      levels.set(spectrogram.computeColumn(first + i), i * rows);
    }
    postMessage({ job, first, levels });
    // A newer request is received meanwhile.
    await new Promise((resolve) => setTimeout(resolve));
    if (job !== newestJob) return;
  }
};

/** Return the mean of the channels, computed in the first. */
function downmix(/** @type {Float32Array<ArrayBuffer>[]} */ channels) {
  const [mono, ...others] = channels;
  for (const channel of others) {
    for (let i = 0; i < mono.length; i++) mono[i] += channel[i];
  }
  for (let i = 0; i < mono.length; i++) mono[i] /= channels.length;
  return mono;
}

/** Return the lowest and the highest sample of each column, in turn. */
function computeExtremes(/** @type {number} */ columns) {
  const extremes = new Float32Array(2 * columns);
  for (let column = 0; column < columns; column++) {
    const start = Math.floor((column * samples.length) / columns);
    const end = Math.max(Math.floor(((column + 1) * samples.length) / columns), start + 1);
    let [low, high] = [Infinity, -Infinity];
    for (let i = start; i < end && i < samples.length; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    if (low <= high) extremes.set([low, high], 2 * column);
  }
  return extremes;
}
