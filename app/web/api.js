import { fetchWithApiKey, hasApiKey } from "./api-key.js";

/**
 * The answers of the service, as its OpenAPI document describes them.
 *
 * @typedef {{label: string, probability: number}} RankedLabel
 * @typedef {{seconds: number, sample_rate: number, channels: number, format: string}} AudioInfo
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
 * @typedef {object} Model a checkpoint of the store
 * @property {string} task
 * @property {string} name
 * @property {string | null} [window] analysis window of its input
 * @property {"loaded" | "available" | "failed"} status
 * @property {string | null} [version]
 * @property {string[] | null} [labels]
 * @property {Metrics | null} [metrics]
 * @property {string | null} [error] why it failed
 *
 * @typedef {object} Metrics
 * @property {{accuracy: number, clips: number}} overall
 * @property {{relative_accuracy: number} | null} [robustness] under corruptions
 *
 * @typedef {{track: number, title: string}} Track
 * @typedef {{genre: string, tracks: Track[]}} Genre
 */

/** An error that can be shown to the user. */
export class Problem extends Error {
  /**
   * @param {string} title
   * @param {string} detail
   */
  constructor(title, detail) {
    super(`${title}: ${detail}`);
    this.title = title;
    this.detail = detail;
  }
}

/** Labels that are requested for a recording. */
const TOP_K = 5;

/** @returns {Promise<Model[]>} */
export async function fetchModels() {
  return (await request("models", readJson)).models;
}

/** @returns {Promise<Genre[]>} */
export async function fetchGenres() {
  return (await request("genres", readJson)).genres;
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
 * Return the URL of a track's spectrogram.
 * @param {string} genre
 * @param {number} track
 * @param {string} window
 * @returns {Promise<string>}
 */
export async function spectrogramUrl(genre, track, window) {
  const query = { genre, track: String(track), window, width: "480", height: "320" };
  const url = `spectrogram?${new URLSearchParams(query)}`;
  // An image element sends no key.
  return hasApiKey() ? URL.createObjectURL(await request(url, readBlob)) : url;
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
    if (name === "error") throw new Problem(data.title, data.detail);
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
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (text + value).split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const [name, data] = event.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
      yield { name, data: JSON.parse(data) };
    }
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
  );
}
