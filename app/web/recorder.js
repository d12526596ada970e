import { Problem } from "./api.js";

/** Types that browsers record and the service reads, the smallest first. */
const MEDIA_TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
/** @type {Record<string, string>} */
const EXTENSIONS = { webm: "webm", ogg: "ogg", mp4: "m4a" };

/** By the names of the errors of getUserMedia. @type {Record<string, string>} */
const REASONS = {
  NotAllowedError:
    "This page may not use the microphone. Allow it in the browser's settings for this site.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "The microphone is in use by another program, or the system refuses it.",
};

/** Records from the microphone, one recording at a time. */
export class Recorder {
  /** @type {MediaRecorder | null} */
  #recorder = null;

  /** When the recording began, as performance.now() counts. */
  startedAt = 0;

  /** @returns {boolean} */
  get isRecording() {
    return this.#recorder !== null;
  }

  /**
   * Start to record; resolves when recording has started.
   * @param {(recording: File) => void} onStop called with the recording once it is stopped
   * @returns {Promise<void>}
   * @throws {Problem} there is no microphone, or it may not be used
   */
  async start(onStop) {
    const stream = await openMicrophone();
    const type = MEDIA_TYPES.find((candidate) => MediaRecorder.isTypeSupported(candidate));
    const recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
    /** @type {Blob[]} */
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      this.#recorder = null;
      const [container] = recorder.mimeType.split(";");
      const extension = EXTENSIONS[container.split("/")[1]] ?? "webm";
      onStop(new File(parts, `recording.${extension}`, { type: container }));
    };
    recorder.start();
    this.startedAt = performance.now();
    this.#recorder = recorder;
  }

  /** Stop the recording, if there is one. */
  stop() {
    this.#recorder?.stop();
  }
}

async function openMicrophone() {
  if (!navigator.mediaDevices || !globalThis.MediaRecorder) {
    throw new Problem(
      "Recording is not possible here",
      "Browsers give the microphone only to pages over HTTPS or from localhost. Choose a file.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    const reason = REASONS[error.name] ?? `The browser says: ${error.message}`;
    throw new Problem("The microphone cannot be used", reason);
  }
}
