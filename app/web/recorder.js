import { Problem } from "./api.js";

/** What browsers record and the service reads, the smallest first. */
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
/** @type {Record<string, string>} */
const EXTENSIONS = { webm: "webm", ogg: "ogg", mp4: "m4a" };

/** By the name of the error that getUserMedia gives. @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: "This page may not use the microphone. Allow it in the browser's settings for this site.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "The microphone is in use by another program, or the system refuses it.",
};

/** Records from the microphone, one recording at a time. */
export class Recorder {
  /** @type {MediaRecorder | null} */
  #recorder = null;

  /** When the recording began, as performance.now() counts. */
  began = 0;

  get active() {
    return this.#recorder !== null;
  }

  /**
   * Begin to record; settles when recording has begun.
   * @param {(recording: File) => void} done told the recording once it is stopped
   * @throws {Problem} where there is no microphone or it may not be used
   */
  async start(done) {
    const stream = await microphone();
    const type = TYPES.find((candidate) => MediaRecorder.isTypeSupported(candidate));
    const recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
    /** @type {Blob[]} */
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      this.#recorder = null;
      const [container] = recorder.mimeType.split(";");
      const extension = EXTENSIONS[container.split("/")[1]] ?? "webm";
      done(new File(parts, `recording.${extension}`, { type: container }));
    };
    recorder.start();
    this.began = performance.now();
    this.#recorder = recorder;
  }

  stop() {
    this.#recorder?.stop();
  }
}

async function microphone() {
  if (!navigator.mediaDevices || !globalThis.MediaRecorder) {
    throw new Problem(
      "Recording is not possible here",
      "Browsers give the microphone to pages over HTTPS or from localhost only. Choose a file instead.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    const reason = REASONS[error.name] ?? `The browser says: ${error.message}`;
    throw new Problem("The microphone cannot be used", reason);
  }
}
