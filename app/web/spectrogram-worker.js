/** @import { PlotRequest } from "./spectrogram-canvas.js" */
/** @import { Frame, Levels, Samples } from "./spectrogram.js" */
import { ServedSpectrogram, Spectrogram } from "./spectrogram.js";

const BLOCK_COLUMNS = 32;
let newestJob = 0;
/** @type {Samples | Levels} */
let recording;

/**
 * Answer a PlotRequest with the waveform, if there are samples, then with the spectrogram, block
 * by block. A newer request ends an older one.
 * @param {MessageEvent<PlotRequest>} event
 */
onmessage = async ({ data: { job, source, frame } }) => {
  newestJob = job;
  if (source) recording = "channels" in source ? downmix(source) : source;
  if ("samples" in recording) postMessage({ job, extremes: computeExtremes(recording, frame) });
  const spectrogram =
    "samples" in recording
      ? new Spectrogram(recording, frame)
      : new ServedSpectrogram(recording, frame);
  const { columns, rows } = frame;
  for (let first = 0; first < columns; first += BLOCK_COLUMNS) {
    const size = Math.min(BLOCK_COLUMNS, columns - first);
    const levels = new Uint8Array(size * rows);
    for (let i = 0; i < size; i++) levels.set(spectrogram.computeColumn(first + i), i * rows);
    postMessage({ job, first, levels });
    // A newer request is received meanwhile.
    await new Promise((resolve) => setTimeout(resolve));
    if (job !== newestJob) return;
  }
};

/**
 * Return the mean of the channels, computed in the first.
 * @param {{channels: Float32Array[], sampleRate: number}} source
 * @returns {Samples}
 */
function downmix({ channels, sampleRate }) {
  const [samples, ...others] = channels;
  for (const channel of others) {
    for (let i = 0; i < samples.length; i++) samples[i] += channel[i];
  }
  let peak = 0;
  for (let i = 0; i < samples.length; i++) {
    samples[i] /= channels.length;
    peak = Math.max(peak, Math.abs(samples[i]));
  }
  return { samples, sampleRate, peak };
}

/**
 * Return the lowest and the highest sample of each column, in turn, as fractions of the peak.
 * @param {Samples} recording
 * @param {Frame} frame
 */
function computeExtremes({ samples, sampleRate, peak }, { start, end, columns }) {
  const extremes = new Float32Array(2 * columns);
  const first = start * sampleRate;
  const size = ((end - start) * sampleRate) / columns;
  for (let column = 0; column < columns; column++) {
    const from = Math.floor(first + column * size);
    const to = Math.max(Math.floor(first + (column + 1) * size), from + 1);
    let [low, high] = [Infinity, -Infinity];
    for (let i = from; i < to && i < samples.length; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    if (low <= high && peak) extremes.set([low / peak, high / peak], 2 * column);
  }
  return extremes;
}
