/** @import { BatchLine, Classification, Model, Progress, StreamPrediction } from "./api.js" */
/** @import { StudentMessage, StudentTask } from "./student-worker.js" */
/** @import { StudentResult } from "./student.js" */
import { Problem, TOP_K, fetchStudent } from "./api.js";
import { decodeSamples } from "./audio.js";

/** Of live sound that may wait to be heard: a device that is further behind never catches up. */
const MAX_BEHIND_SECONDS = 10;

/**
 * A task that a worker is at.
 * @typedef {object} Pending
 * @property {(result: any) => void} resolve
 * @property {(problem: Problem) => void} reject
 * @property {(progress: Progress) => void} onProgress
 */

/** A student in a worker of its own. */
class StudentWorker {
  #worker = new Worker(new URL("student-worker.js", import.meta.url), { type: "module" });
  #ids = 0;
  /** @type {Map<number, Pending>} */
  #pending = new Map();

  constructor() {
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = ({ message }) => {
      const problem = createProblem(message || "its worker cannot be started");
      for (const { reject } of this.#pending.values()) reject(problem);
      this.#pending.clear();
    };
  }

  /**
   * Have a task done.
   * @param {StudentTask} task
   * @param {Transferable[]} [transferred] what the worker takes over
   * @param {AbortSignal} [signal]
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<any>}
   * @throws {Problem}
   */
  run(task, transferred = [], signal, onProgress = () => undefined) {
    const id = ++this.#ids;
    const cancel = () => this.#post(0, { kind: "cancel", cancelled: id }, []);
    signal?.addEventListener("abort", cancel);
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onProgress });
      this.#post(id, task, transferred);
    }).finally(() => signal?.removeEventListener("abort", cancel));
  }

  #post(
    /** @type {number} */ id,
    /** @type {StudentTask} */ task,
    /** @type {Transferable[]} */ transferred,
  ) {
    this.#worker.postMessage({ id, task }, transferred);
  }

  #receive(/** @type {StudentMessage} */ message) {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if ("seconds" in message) {
      pending.onProgress(message);
      return;
    }
    this.#pending.delete(message.id);
    if ("result" in message) pending.resolve(message.result);
    else if (message.isOfAudio) pending.reject(new Problem(REFUSED, message.error));
    else pending.reject(createProblem(message.error));
  }
}

const REFUSED = "The recording cannot be classified";

function createProblem(/** @type {string} */ reason) {
  return new Problem("The network does not run on this device", `The browser says: ${reason}`);
}

/** By task, name and version. @type {Map<string, Promise<StudentWorker>>} */
const workers = new Map();

/** Return the worker of a model, which is loaded once; again, where that failed. */
function workerOf(/** @type {Model} */ model) {
  const key = [model.task, model.name, model.version].join("/");
  const found = workers.get(key) ?? loadWorker(model);
  workers.set(key, found);
  found.catch(() => workers.delete(key));
  return found;
}

async function loadWorker(/** @type {Model} */ model) {
  const file = await fetchStudent(model);
  const worker = new StudentWorker();
  await worker.run({ kind: "load", file, topK: TOP_K }, [file]);
  return worker;
}

/**
 * Classify a recording without sending it; see `classify` of api.js.
 * @param {Blob} blob
 * @param {string} filename
 * @param {Model} model
 * @param {AbortSignal} signal
 * @param {(progress: Progress) => void} onProgress
 * @returns {Promise<Classification>}
 * @throws {Problem}
 */
export async function classifyOnDevice(blob, filename, model, signal, onProgress) {
  const [worker, sound] = await Promise.all([workerOf(model), decodeSamples(blob, filename)]);
  if (!sound) {
    throw new Problem(
      "This browser cannot read the recording",
      "Convert it to WAV, or have the server classify it: it reads more formats.",
    );
  }
  const { channels, sampleRate, audio } = sound;
  const transferred = channels.map(({ buffer }) => buffer);
  /** @type {StudentResult} */
  const { seconds, ...result } = await worker.run(
    { kind: "classify", channels, sampleRate },
    transferred,
    signal,
    onProgress,
  );
  const { task, name, version } = model;
  const checkpoint = { task, name, version: version ?? "" };
  return { task, ...result, audio: { seconds, ...audio }, checkpoint };
}

/**
 * Classify many recordings without sending them; see `classifyBatch` of api.js.
 * @param {File[]} files
 * @param {Model} model
 * @param {AbortSignal} signal
 * @param {(line: BatchLine) => void} onLine called for each file as it is answered
 * @returns {Promise<void>}
 */
export async function classifyBatchOnDevice(files, model, signal, onLine) {
  await workerOf(model);
  for (const [index, file] of files.entries()) {
    if (signal.aborted) return;
    try {
      const result = await classifyOnDevice(file, file.name, model, signal, () => undefined);
      onLine({ index, result });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      onLine({ index, problem: error });
    }
  }
}

/** Classifies live sound without sending it. */
export class DeviceListener {
  #sampleRate;
  #onPrediction;
  #onProblem;
  /** Null while it is loaded, and when it is closed. @type {StudentWorker | null} */
  #worker = null;
  #isClosed = false;
  /** Samples that wait. */
  #behind = 0;

  /**
   * Load a model, and start.
   * @param {Model} model
   * @param {number} sampleRate in Hz
   * @param {(prediction: StreamPrediction) => void} onPrediction
   * @param {(problem: Problem) => void} onProblem called when it ends by itself
   */
  constructor(model, sampleRate, onPrediction, onProblem) {
    this.#sampleRate = sampleRate;
    this.#onPrediction = onPrediction;
    this.#onProblem = onProblem;
    workerOf(model)
      .then(async (worker) => {
        await worker.run({ kind: "listen", sampleRate });
        if (!this.#isClosed) this.#worker = worker;
      })
      .catch((error) => this.#fail(error));
  }

  /**
   * Take the next sound.
   * @param {ArrayBuffer} pcm 16-bit samples
   */
  send(pcm) {
    const samples = new Int16Array(pcm);
    const worker = this.#worker;
    if (!worker) return;
    this.#behind += samples.length;
    if (this.#behind > MAX_BEHIND_SECONDS * this.#sampleRate) {
      const reason = `This device is more than ${MAX_BEHIND_SECONDS} seconds behind.`;
      this.#fail(new Problem("Live sound has ended", reason));
      return;
    }
    worker
      .run({ kind: "hear", pcm: samples }, [pcm])
      .then((/** @type {StreamPrediction[]} */ predictions) => {
        this.#behind -= samples.length;
        if (!this.#isClosed) predictions.forEach(this.#onPrediction);
      })
      .catch((error) => this.#fail(error));
  }

  /** Stop. */
  close() {
    this.#isClosed = true;
    this.#worker = null;
  }

  #fail(/** @type {unknown} */ error) {
    if (!(error instanceof Problem)) throw error;
    if (this.#isClosed) return;
    this.close();
    this.#onProblem(error);
  }
}
