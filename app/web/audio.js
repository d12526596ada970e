/**
 * A recording as the page holds it.
 * @typedef {object} Recording
 * @property {string} name
 * @property {Blob} blob
 * @property {AudioBuffer | null} audio null where the browser does not decode it
 */

/** In Hz, for drawing: half of most recordings', so that ten minutes fit into a phone's memory. */
const DECODED_SAMPLE_RATE = 22_050;
/** Of larger files a tab of the browser could not hold the samples. */
const MAX_DECODED_BYTES = 512 * 1024 * 1024;

/**
 * Decode a recording in the browser.
 * @param {Blob} blob
 * @param {string} name
 * @returns {Promise<Recording>}
 */
export async function decodeRecording(blob, name) {
  if (blob.size > MAX_DECODED_BYTES) return { name, blob, audio: null };
  const context = new OfflineAudioContext(1, 1, DECODED_SAMPLE_RATE);
  const audio = await blob
    .arrayBuffer()
    .then((bytes) => context.decodeAudioData(bytes))
    .catch(() => null);
  return { name, blob, audio };
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
