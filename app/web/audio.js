/** @import { AudioInfo } from "./api.js" */

/** In Hz, for drawing: half of most recordings', so that ten minutes fit into a phone's memory. */
const DECODED_SAMPLE_RATE = 22_050;
/** Of larger files a tab of the browser could not hold the samples. */
const MAX_DECODED_BYTES = 512 * 1024 * 1024;

/**
 * Decode a recording in the browser.
 * @param {Blob} blob
 * @returns {Promise<AudioBuffer | null>} null where the browser does not decode it
 */
export async function decodeAudio(blob) {
  if (blob.size > MAX_DECODED_BYTES) return null;
  const context = new OfflineAudioContext(1, 1, DECODED_SAMPLE_RATE);
  return blob
    .arrayBuffer()
    .then((bytes) => context.decodeAudioData(bytes))
    .catch(() => null);
}

/**
 * The samples of a recording, from -1 to 1, and what is known of it.
 * @typedef {object} Sound
 * @property {Float32Array<ArrayBuffer>[]} channels
 * @property {number} sampleRate in Hz
 * @property {Omit<AudioInfo, "seconds">} audio
 */

/** In Hz, of what the browser decodes to be classified: most recordings' own, or more. */
const CLASSIFIED_SAMPLE_RATE = 48_000;

/**
 * Decode a recording to be classified: a WAV at its own sample rate, others as the browser does.
 * @param {Blob} blob
 * @param {string} filename
 * @returns {Promise<Sound | null>} null where the browser does not decode it
 */
export async function decodeSamples(blob, filename) {
  if (blob.size > MAX_DECODED_BYTES) return null;
  const bytes = await blob.arrayBuffer();
  const wav = decodeWav(bytes);
  if (wav) return wav;
  const context = new OfflineAudioContext(1, 1, CLASSIFIED_SAMPLE_RATE);
  const decoded = await context.decodeAudioData(bytes).catch(() => null);
  if (!decoded) return null;
  const { numberOfChannels, sampleRate } = decoded;
  const channels = Array.from({ length: numberOfChannels }, (_, i) => decoded.getChannelData(i));
  const format = /\.(\w+)$/.exec(filename)?.[1].toLowerCase() ?? "sound";
  return { channels, sampleRate, audio: { sample_rate: null, channels: numberOfChannels, format } };
}

/**
 * Decode a WAV of integers of 8 to 32 bits or floats of 32.
 * @param {ArrayBuffer} bytes
 * @returns {Sound | null} null where it is none
 */
export function decodeWav(bytes) {
  const view = new DataView(bytes);
  const readText = (/** @type {number} */ offset) =>
    String.fromCharCode(...new Uint8Array(bytes, offset, 4));
  if (bytes.byteLength < 44 || readText(0) !== "RIFF" || readText(8) !== "WAVE") return null;
  let [format, channelCount, sampleRate, bits] = [0, 0, 0, 0];
  for (let offset = 12; offset + 8 <= bytes.byteLength; ) {
    const [name, size, body] = [readText(offset), view.getUint32(offset + 4, true), offset + 8];
    if (name === "fmt " && body + 16 <= bytes.byteLength) {
      [format, channelCount] = [view.getUint16(body, true), view.getUint16(body + 2, true)];
      [sampleRate, bits] = [view.getUint32(body + 4, true), view.getUint16(body + 14, true)];
      // Where there are many bits or channels, what the samples are stands behind.
      if (format === 0xfffe && size >= 26) format = view.getUint16(body + 24, true);
    }
    if (name === "data") {
      const read = sampleReader(view, format, bits);
      if (!read || !channelCount || !sampleRate) return null;
      const step = bits / 8;
      const length = Math.min(size, bytes.byteLength - body);
      const frames = Math.floor(length / (step * channelCount));
      const channels = Array.from({ length: channelCount }, (_, channel) => {
        const samples = new Float32Array(frames);
        for (let i = 0; i < frames; i++) {
          samples[i] = read(body + (i * channelCount + channel) * step);
        }
        return samples;
      });
      const audio = { sample_rate: sampleRate, channels: channelCount, format: "wav" };
      return { channels, sampleRate, audio };
    }
    offset = body + size + (size % 2);
  }
  return null;
}

/** @returns {((offset: number) => number) | null} null where it reads no such samples */
function sampleReader(
  /** @type {DataView} */ view,
  /** @type {number} */ format,
  /** @type {number} */ bits,
) {
  if (format === 3 && bits === 32) return (offset) => view.getFloat32(offset, true);
  if (format !== 1) return null;
  if (bits === 8) return (offset) => view.getUint8(offset) / 128 - 1; // the only one without a sign
  if (bits === 16) return (offset) => view.getInt16(offset, true) / 2 ** 15;
  if (bits === 24) {
    return (offset) => view.getInt16(offset + 1, true) / 2 ** 15 + view.getUint8(offset) / 2 ** 23;
  }
  return bits === 32 ? (offset) => view.getInt32(offset, true) / 2 ** 31 : null;
}

/**
 * Encode samples as a WAV file of 16 bits.
 * @param {Float32Array} samples mono, from -1 to 1
 * @param {number} sampleRate in Hz
 * @returns {Blob}
 */
export function encodeWav(samples, sampleRate) {
  const header = new DataView(new ArrayBuffer(44));
  const writeText = (/** @type {number} */ offset, /** @type {string} */ text) =>
    [...text].forEach((letter, i) => header.setUint8(offset + i, letter.charCodeAt(0)));
  writeText(0, "RIFF");
  header.setUint32(4, 36 + 2 * samples.length, true);
  writeText(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, sampleRate, true);
  header.setUint32(28, 2 * sampleRate, true); // bytes a second
  header.setUint16(32, 2, true); // bytes a frame
  header.setUint16(34, 16, true); // bits a sample
  writeText(36, "data");
  header.setUint32(40, 2 * samples.length, true);
  const body = Int16Array.from(samples, (value) => Math.round(32_767 * value));
  return new Blob([header, body], { type: "audio/wav" });
}
