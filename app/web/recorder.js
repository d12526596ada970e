import { closeMicrophone, openMicrophone } from "./microphone.js";

/** Types that browsers record and the service reads, the smallest first. */
const MEDIA_TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
/** @type {Record<string, string>} */
const EXTENSIONS = { webm: "webm", ogg: "ogg", mp4: "m4a" };

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
    this.startWith(stream, (recording) => {
      closeMicrophone(stream);
      onStop(recording);
    });
  }

  /**
   * Start to record a microphone that is open, and that stays so.
   * @param {MediaStream} stream
   * @param {(recording: File) => void} onStop called with the recording once it is stopped
   */
  startWith(stream, onStop) {
    const type = MEDIA_TYPES.find((candidate) => MediaRecorder.isTypeSupported(candidate));
    const recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
    /** @type {Blob[]} */
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
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
