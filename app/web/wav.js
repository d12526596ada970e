/**
 * A WAV file of 16-bit samples.
 * @param {Float32Array} samples mono, from -1 to 1
 * @param {number} rate samples per second
 * @returns {Blob}
 */
export function wav(samples, rate) {
  const header = new DataView(new ArrayBuffer(44));
  const text = (/** @type {number} */ place, /** @type {string} */ value) =>
    [...value].forEach((letter, i) => header.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true); // bytes a second
  header.setUint16(32, 2, true); // bytes a frame
  header.setUint16(34, 16, true); // bits a sample
  text(36, "data");
  header.setUint32(40, 2 * samples.length, true);
  const body = Int16Array.from(samples, (value) => Math.round(32_767 * value));
  return new Blob([header, body], { type: "audio/wav" });
}
