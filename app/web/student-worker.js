/** @import { StreamPrediction } from "./api.js" */
/** @import { StudentResult } from "./student.js" */
import { AudioError } from "./mono.js";
import { Student } from "./student.js";
import { InferenceSession, Tensor, env } from "./vendor/ort.wasm.bundle.min.mjs";

/**
 * What the page asks for. A student is loaded first, and once; sound that is heard live comes after
 * `listen`.
 * @typedef {{kind: "load", file: ArrayBuffer, topK: number}
 *   | {kind: "classify", channels: Float32Array[], sampleRate: number}
 *   | {kind: "listen", sampleRate: number}
 *   | {kind: "hear", pcm: Int16Array}
 *   | {kind: "cancel", cancelled: number}} StudentTask
 *
 * What it is told: the progress, at last the result or an error.
 * @typedef {{id: number, seconds: number, total: number}} StudentProgress
 * @typedef {{id: number, result: StudentResult | StreamPrediction[] | null}} StudentAnswer
 * @typedef {{id: number, error: string, isOfAudio: boolean}} StudentError
 * @typedef {StudentProgress | StudentAnswer | StudentError} StudentMessage
 */

/** Clips after which messages are received. */
const BLOCK = 8;

env.wasm.numThreads = 1;
env.wasm.wasmPaths = {
  wasm: new URL("vendor/ort-wasm-simd-threaded.wasm.gz", import.meta.url).href,
};

/** @type {Student | null} */
let student = null;
/** @type {((pcm: Int16Array) => Promise<StreamPrediction[]>) | null} */
let hear = null;
/** Of tasks that are wanted no longer. @type {Set<number>} */
const cancelled = new Set();
/** One task after another, as they come. */
let queue = Promise.resolve();

/** @param {MessageEvent<{id: number, task: StudentTask}>} event */
onmessage = ({ data: { id, task } }) => {
  if (task.kind === "cancel") {
    cancelled.add(task.cancelled);
    return;
  }
  queue = queue.then(async () => {
    /** @type {StudentMessage} */
    let message;
    try {
      message = { id, result: await run(id, task) };
    } catch (error) {
      message = { id, error: String(/** @type {any} */ (error)?.message ?? error), isOfAudio: error instanceof AudioError };
    }
    cancelled.delete(id);
    postMessage(message);
  });
};

/**
 * @param {number} id
 * @param {StudentTask} task
 * @returns {Promise<StudentResult | StreamPrediction[] | null>}
 */
async function run(id, task) {
  if (task.kind === "load") {
    student = await load(new Uint8Array(task.file), task.topK);
    return null;
  }
  if (!student) throw new Error("no network is loaded");
  if (task.kind === "classify") {
    return student.classify(task.channels, task.sampleRate, (seconds, total) => {
      if (cancelled.has(id)) throw new Error("nobody waits for it");
      postMessage({ id, seconds, total });
    });
  }
  if (task.kind === "listen") hear = student.listen(task.sampleRate);
  return task.kind === "hear" && hear ? hear(task.pcm) : null;
}

async function load(/** @type {Uint8Array} */ file, /** @type {number} */ topK) {
  const session = await InferenceSession.create(file, { executionProviders: ["wasm"] });
  let runs = 0;
  const infer = async (/** @type {Float32Array} */ clip) => {
    runs++;
    if (runs % BLOCK === 0) await new Promise((resolve) => setTimeout(resolve));
    const waveform = new Tensor("float32", clip, [1, clip.length]);
    const { logits } = await session.run({ waveform }, ["logits"]);
    return /** @type {Float32Array} */ (logits.data);
  };
  return new Student(file, infer, topK);
}
