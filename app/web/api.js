/** @import { Levels } from "./spectrogram.js" */
import { fetchWithApiKey } from "./api-key.js";
import { TOP_DB } from "./spectrogram.js";

/**
 * The answers of the service, as its OpenAPI document describes them.
 *
 * @typedef {{label: string, probability: number}} RankedLabel
 * @typedef {object} AudioInfo
 * @property {number} seconds
 * @property {number | null} sample_rate in Hz; null where a browser has decoded it, which does not tell
 * @property {number} channels
 * @property {string} format
 *
 * @typedef {{task: string, name: string, version: string}} CheckpointRef
 * @typedef {{seconds: number, total: number | null}} Progress how much is classified
 *
 * @typedef {object} Segment
 * @property {number} start in seconds
 * @property {number} end in seconds
 * @property {string | null} label
 * @property {string | null} [reason] why `label` is null
 * @property {number} probability
 *
 * @typedef {object} Classification
 * @property {string} task
 * @property {string | null} label
 * @property {string | null} [reason] why `label` is null
 * @property {number} probability
 * @property {RankedLabel[]} ranked
 * @property {AudioInfo} audio
 * @property {CheckpointRef} checkpoint
 * @property {Segment[] | null} [segments] of a recording that is longer than a clip
 * @property {Record<string, number> | null} [label_fractions] label -> fraction of the time
 *
 * @typedef {object} BatchLine what the service says of one file
 * @property {number | null} [index] of the file; none where the whole request went wrong
 * @property {Classification} [result]
 * @property {{title: string, detail: string, status: number}} [problem]
 *
 * @typedef {object} StreamPrediction the labels of the last seconds of live sound
 * @property {number} start in seconds
 * @property {number} end in seconds
 * @property {string | null} label
 * @property {string | null} [reason] why `label` is null
 * @property {number} probability
 * @property {RankedLabel[]} ranked
 *
 * @typedef {object} Explanation the evidence for a label in a clip
 * @property {string} label
 * @property {number} probability
 * @property {{clip: number, start: number, end: number}} clip
 * @property {number[]} times of the map's columns, in seconds of the recording
 * @property {number[]} frequencies of the map's rows, in Hz
 * @property {number[][]} map [frequency][time]
 *
 * @typedef {object} Model a checkpoint of the store
 * @property {string} task
 * @property {string} name
 * @property {boolean} is_default whether it answers where a request names none
 * @property {string | null} [window] analysis window of its input
 * @property {"loaded" | "available" | "failed"} status
 * @property {string | null} [version]
 * @property {string[] | null} [labels]
 * @property {Metrics | null} [metrics]
 * @property {string | null} [error] why it failed
 * @property {boolean} on_device whether the page can run it
 * @property {boolean} [runsHere] whether the page does run it, and nothing is sent
 *
 * @typedef {object} Metrics
 * @property {{accuracy: number, clips: number}} overall
 * @property {{relative_accuracy: number} | null} [robustness] under corruptions
 *
 * @typedef {{file: string, task: string}} Example a recording that comes with Earshot
 * @typedef {{track: number, title: string}} Track
 * @typedef {{genre: string, tracks: Track[]}} Genre
 */

/** An error that can be shown to the user. */
export class Problem extends Error {
  /**
   * @param {string} title
   * @param {string} detail
   * @param {number} [status] of the response, 0 where there was none
   */
  constructor(title, detail, status = 0) {
    super(`${title}: ${detail}`);
    this.title = title;
    this.detail = detail;
    this.status = status;
  }

  /** Whether the same request may succeed later, or with a key. */
  get isTemporary() {
    return this.status === 0 || [401, 408, 429].includes(this.status) || this.status >= 500;
  }
}

/** Labels that are requested for a recording. */
export const TOP_K = 5;
/** What answers a plain request for live sound that would not be refused now. */
const UPGRADE_REQUIRED = 426;
/** Of levels that the service computes. */
const MAX_COLUMNS = 1500;

/** @returns {Promise<Model[]>} */
export async function fetchModels() {
  return (await request("models", readJson)).models;
}

/**
 * Fetch the network of a model that the page can run.
 * @param {Model} model
 * @returns {Promise<ArrayBuffer>}
 */
export function fetchStudent({ task, name }) {
  const read = (/** @type {Response} */ response) => response.arrayBuffer();
  return request(`models/${encodeURIComponent(task)}/${encodeURIComponent(name)}/model.onnx`, read);
}

/** @returns {Promise<Genre[]>} */
export async function fetchGenres() {
  return (await request("genres", readJson)).genres;
}

/** @returns {Promise<Example[]>} */
export function fetchExamples() {
  return request("examples/examples.json", readJson);
}

/**
 * Fetch an example recording.
 * @param {string} file
 * @returns {Promise<Blob>}
 */
export function fetchExample(file) {
  return request(`examples/${file}`, readBlob);
}

/**
 * Fetch a recording of the gallery.
 * @param {string} genre
 * @param {number} track
 * @returns {Promise<Blob>}
 */
export function fetchTrack(genre, track) {
  const query = new URLSearchParams({ genre, track: String(track) });
  return request(`recording?${query}`, readBlob);
}

/**
 * Fetch the levels of a recording, for browsers that cannot decode it.
 * @param {Blob | {genre: string, track: number}} recording one's own, or one of the gallery
 * @param {string} window
 * @returns {Promise<Levels>}
 */
export function fetchLevels(recording, window) {
  const options = { window, format: "npy", width: String(MAX_COLUMNS), top_db: String(TOP_DB) };
  const query = new URLSearchParams(options);
  const read = async (/** @type {Response} */ response) => parseLevels(await response.arrayBuffer());
  if (recording instanceof Blob) {
    const body = new FormData();
    body.append("file", recording);
    return request(`spectrogram?${query}`, read, { method: "POST", body });
  }
  query.set("genre", recording.genre);
  query.set("track", String(recording.track));
  return request(`spectrogram?${query}`, read);
}

/**
 * Read an array of NumPy, `[1, 1 + frequencies, 1 + times]`: the first row has the times, the
 * first column the frequencies.
 * @param {ArrayBuffer} file
 * @returns {Levels}
 */
function parseLevels(file) {
  const offset = 10 + new DataView(file).getUint16(8, true);
  const header = new TextDecoder().decode(file.slice(10, offset));
  const shape = /'shape': \(1, (\d+), (\d+)\)/.exec(header);
  if (!shape) throw new Error(`an array of another shape: ${header}`);
  const [rows, columns] = [Number(shape[1]), Number(shape[2])];
  const table = new Float32Array(file, offset);
  const row = (/** @type {number} */ i) => table.subarray(i * columns + 1, (i + 1) * columns);
  const db = new Float32Array((rows - 1) * (columns - 1));
  const frequencies = new Float32Array(rows - 1);
  for (let i = 1; i < rows; i++) {
    db.set(row(i), (i - 1) * (columns - 1));
    frequencies[i - 1] = table[i * columns];
  }
  return { times: row(0).slice(), frequencies, db };
}

/**
 * Fetch the evidence for a label, in the clip of a recording where it is the most probable.
 * @param {Blob} blob
 * @param {string} filename
 * @param {Model} model
 * @param {string} label
 * @param {AbortSignal} signal
 * @returns {Promise<Explanation>}
 */
export function explain(blob, filename, { task, name }, label, signal) {
  const body = new FormData();
  body.append("file", blob, filename);
  const query = new URLSearchParams({ checkpoint: name, label, format: "json" });
  const url = `explain/${encodeURIComponent(task)}?${query}`;
  return request(url, readJson, { method: "POST", body, signal });
}

/**
 * Classify many recordings.
 * @param {File[]} files
 * @param {Model} model
 * @param {AbortSignal} signal
 * @param {(line: BatchLine) => void} onLine called for each file as it is answered
 * @returns {Promise<void>}
 */
export function classifyBatch(files, { task, name }, signal, onLine) {
  const body = new FormData();
  for (const file of files) body.append("file", file, file.name);
  const query = new URLSearchParams({ checkpoint: name, top_k: String(TOP_K) });
  const url = `classify/${encodeURIComponent(task)}/batch?${query}`;
  const read = async (/** @type {Response} */ response) => {
    for await (const line of readParts(response, "\n")) onLine(JSON.parse(line));
  };
  return request(url, read, { method: "POST", body, signal });
}

/**
 * Ask why live sound was refused, which a browser does not tell of a WebSocket.
 * @param {URL} url of the WebSocket
 * @returns {Promise<Problem>}
 */
export async function fetchRefusal(url) {
  const address = new URL(url);
  address.protocol = location.protocol;
  try {
    await request(address.href, readJson);
  } catch (error) {
    if (error instanceof Problem && error.status !== UPGRADE_REQUIRED) return error;
  }
  return new Problem("Live sound cannot be sent", "The connection was lost. Try again.");
}

/**
 * Return the address of live sound.
 * @param {Model} model
 * @param {number} sampleRate in Hz
 * @returns {URL}
 */
export function streamUrl({ task, name }, sampleRate) {
  const query = { sample_rate: String(sampleRate), checkpoint: name, top_k: String(TOP_K) };
  const path = `stream/${encodeURIComponent(task)}?${new URLSearchParams(query)}`;
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/**
 * Classify a recording.
 * @param {Blob} blob
 * @param {string} filename
 * @param {Model} model
 * @param {AbortSignal} signal
 * @param {(progress: Progress) => void} onProgress
 * @returns {Promise<Classification>}
 */
export function classify(blob, filename, { task, name }, signal, onProgress) {
  const body = new FormData();
  body.append("file", blob, filename);
  const query = new URLSearchParams({ checkpoint: name, top_k: String(TOP_K) });
  const headers = { Accept: "text/event-stream" };
  return request(
    `classify/${encodeURIComponent(task)}?${query}`,
    (response) => readResult(response, onProgress),
    { method: "POST", body, headers, signal },
  );
}

const readJson = (/** @type {Response} */ response) => response.json();
const readBlob = (/** @type {Response} */ response) => response.blob();

/**
 * Read the events of a classification up to its result.
 * @param {Response} response
 * @param {(progress: Progress) => void} onProgress
 * @returns {Promise<Classification>}
 * @throws {Problem} the service could not finish
 */
async function readResult(response, onProgress) {
  for await (const { name, data } of readEvents(response)) {
    if (name === "result") return data;
    if (name === "error") throw new Problem(data.title, data.detail, data.status);
    onProgress(data);
  }
  throw new Error("the response ends without a result");
}

/**
 * Read Server-Sent Events. `EventSource` does so too, but cannot send a recording; and the service
 * writes the data of an event in one line.
 * @param {Response} response
 * @returns {AsyncGenerator<{name: string, data: any}>}
 */
async function* readEvents(response) {
  for await (const event of readParts(response, "\n\n")) {
    const [name, data] = event.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
    yield { name, data: JSON.parse(data) };
  }
}

/**
 * Read the parts of a response as they come, each with a separator behind it.
 * @param {Response} response
 * @param {string} separator
 * @returns {AsyncGenerator<string>}
 */
async function* readParts(response, separator) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (text + value).split(separator);
    text = parts.pop() ?? "";
    yield* parts;
  }
}

/**
 * Send a request and read its response.
 * @template T
 * @param {string} url
 * @param {(response: Response) => Promise<T>} read
 * @param {RequestInit} [options]
 * @returns {Promise<T>}
 * @throws {Problem} whatever fails: the connection, too, or a request that was aborted
 */
async function request(url, read, options) {
  let response;
  try {
    response = await fetchWithApiKey(url, options);
    if (response.ok) return await read(response);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem("The server cannot be reached", "See that it runs, then try again.");
  }
  // A proxy before the service may answer with something else than a problem.
  const problem = await response.json().catch(() => null);
  throw new Problem(
    problem?.title ?? `The server answered with status ${response.status}`,
    problem?.detail ?? "It gave no reason.",
    response.status,
  );
}
