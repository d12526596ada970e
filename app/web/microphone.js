import { Problem } from "./api.js";

/** By the names of the errors of getUserMedia. @type {Record<string, string>} */
const REASONS = {
  NotAllowedError:
    "This page may not use the microphone. Allow it in the browser's settings for this site.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "The microphone is in use by another program, or the system refuses it.",
};

/**
 * Open the microphone, as it is: what makes calls clear takes sounds of the street away.
 * @returns {Promise<MediaStream>}
 * @throws {Problem} there is no microphone, or it may not be used
 */
export async function openMicrophone() {
  if (!navigator.mediaDevices || !globalThis.MediaRecorder) {
    throw new Problem(
      "Recording is not possible here",
      "Browsers give the microphone only to pages over HTTPS or from localhost. Choose a file.",
    );
  }
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    const reason = REASONS[error.name] ?? `The browser says: ${error.message}`;
    throw new Problem("The microphone cannot be used", reason);
  }
}

/**
 * Close the microphone.
 * @param {MediaStream} stream
 */
export function closeMicrophone(stream) {
  stream.getTracks().forEach((track) => track.stop());
}
