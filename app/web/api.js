import { events } from "./events.js";
import { fetchWithKey, hasKey } from "./key.js";

/**
 * @typedef {{label: string, probability: number}} Ranked
 * @typedef {{start: number, end: number, label: string | null, probability: number, reason?: string}} Segment
 * @typedef {object} Answer
 * @property {string} task
 * @property {string | null} label
 * @property {number} [probability]
 * @property {string} [reason] why `label` is null
 * @property {Ranked[]} [ranked]
 * @property {{seconds: number, sample_rate: number, channels: number, format: string}} clip
 * @property {{task: string, window: string, version: string}} checkpoint
 * @property {Segment[]} [segments]
 * @property {Record<string, number>} [shares] share of the time that each label has
 *
 * @typedef {object} Model
 * @property {string} task
 * @property {string} window
 * @property {"loaded" | "available" | "failed"} status
 * @property {string[]} [labels]
 * @property {{overall: {accuracy: number, clips: number}}} [metrics]
 * @property {string} [error]
 *
 * @typedef {{seconds: number, total: number | null}} Progress how much was listened to
 *
 * @typedef {{genre: string, recordings: {title: string}[]}} Genre
 */

/** An error that can be shown as it is. */
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

/** How many labels are asked for. */
const TOP_K = 5;

/** @returns {Promise<Model[]>} */
export async function models() {
  return (await request("models", json)).models;
}

/** @returns {Promise<Genre[]>} */
export async function genres() {
  return (await request("genres", json)).genres;
}

/**
 * @param {string} genre
 * @param {number} clip from 1
 * @returns {Promise<Blob>}
 */
export function recording(genre, clip) {
  const query = new URLSearchParams({ genre, clip: String(clip) });
  return request(`recording?${query}`, (response) => response.blob());
}

/**
 * Where the picture of a genre's recording is.
 * @param {string} genre
 * @param {number} clip from 1
 * @param {string} window
 * @returns {Promise<string>}
 */
export async function pictureAddress(genre, clip, window) {
  const query = { genre, clip: String(clip), window, width: "480", height: "320" };
  const address = `spectrogram?${new URLSearchParams(query)}`;
  // An image is asked for without a key.
  return hasKey() ? URL.createObjectURL(await request(address, (response) => response.blob())) : address;
}

/**
 * @param {Blob} blob
 * @param {string} name
 * @param {string} task
 * @param {string} window
 * @param {AbortSignal} signal
 * @param {(progress: Progress) => void} onProgress
 * @returns {Promise<Answer>}
 */
export function classify(blob, name, task, window, signal, onProgress) {
  const body = new FormData();
  body.append("file", blob, name);
  const query = new URLSearchParams({ window, top_k: String(TOP_K) });
  const headers = { Accept: "text/event-stream" };
  return request(
    `classify/${encodeURIComponent(task)}?${query}`,
    (response) => lastEvent(response, onProgress),
    { method: "POST", body, headers, signal },
  );
}

const json = (/** @type {Response} */ response) => response.json();

/**
 * @param {Response} response
 * @param {(progress: Progress) => void} onProgress
 * @returns {Promise<Answer>}
 */
async function lastEvent(response, onProgress) {
  for await (const { name, data } of events(response)) {
    if (name === "answer") return data;
    if (name === "error") throw new Problem(data.title, data.detail);
    onProgress(data);
  }
  throw new Error("the answer breaks off");
}

/**
 * Every failure is a Problem: a refusal, a lost connection, a request that was given up.
 * @template T
 * @param {string} address
 * @param {(response: Response) => Promise<T>} read
 * @param {RequestInit} [options]
 * @returns {Promise<T>}
 */
async function request(address, read, options) {
  let response;
  try {
    response = await fetchWithKey(address, options);
    if (response.ok) return await read(response);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem("The server cannot be reached", "See that it runs, then try again.");
  }
  // What stands between here and the service may answer with something else than a problem.
  const problem = await response.json().catch(() => null);
  throw new Problem(
    problem?.title ?? `The server answered with status ${response.status}`,
    problem?.detail ?? "It gave no reason.",
  );
}
