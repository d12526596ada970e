/**
 * A recording as the page holds it.
 * @typedef {object} Sound
 * @property {string} name
 * @property {Blob} blob
 * @property {AudioBuffer | null} audio null where the browser cannot decode it
 */

/** Samples per second for drawing: half of most recordings', so that ten minutes fit a phone. */
const RATE = 22_050;
/** Larger ones are refused by the service anyway. */
const LARGEST_BYTES = 256 * 1024 * 1024;

/**
 * Decode a recording in the browser.
 * @param {Blob} blob
 * @param {string} name
 * @returns {Promise<Sound>}
 */
export async function decode(blob, name) {
  if (blob.size === 0 || blob.size > LARGEST_BYTES) return { name, blob, audio: null };
  const bytes = await blob.arrayBuffer();
  const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes).catch(() => null);
  return { name, blob, audio };
}
