/** @import { AudioInfo, Model } from "./api.js" */

const NO_LABEL = "nothing recognised";
/** Of a long recording, in its headline. */
const MAX_LISTED_SHARES = 3;

/** @type {Record<string, string>} */
const REASONS = {
  silent: "there is nothing to hear",
  too_short: "this is too short to tell",
  out_of_distribution: "this is unlike all sounds that the model has learned",
  no_voice: "no voice is heard",
};

/**
 * The words for a task: its name, its labels in a sentence after their number, and one after
 * another the things that are heard.
 * @typedef {{name: string, labels: string, noun: string}} TaskWords
 */

/** @type {Record<string, TaskWords>} */
const TASKS = {
  "urban-sound": { name: "Street sounds", labels: "street sounds", noun: "sound" },
  emotion: { name: "Emotion in a voice", labels: "emotions in a voice", noun: "emotion" },
};

/** @type {Record<string, string>} */
const CAUTIONS = {
  emotion: "These are guesses about acted speech. Do not use them to judge people.",
};

/**
 * Return the name of a task: "machine-faults" is "Machine faults".
 * @param {string} task
 * @returns {string}
 */
export function formatTask(task) {
  return TASKS[task]?.name ?? formatName(task);
}

/**
 * Return what Earshot hears, in a sentence.
 * @param {Model[]} models
 * @returns {string}
 */
export function formatIntroduction(models) {
  const known = models.filter(({ labels }) => labels);
  const counts = new Map(known.map(({ task, labels }) => [task, labels?.length]));
  const parts = [...counts]
    .sort(([one], [other]) => compareTasks(one, other))
    .map(([task, count]) => `${count} ${TASKS[task]?.labels ?? `labels of ${formatTask(task)}`}`);
  const list = new Intl.ListFormat("en-GB", { type: "conjunction" }).format(parts);
  return `Earshot hears ${list || "what is in a recording"}.`;
}

/**
 * Return the warning that a task's results need, or an empty string.
 * @param {string} task
 * @returns {string}
 */
export function formatCaution(task) {
  return CAUTIONS[task] ?? "";
}

/**
 * Compare two tasks for sorting: those with a name of their own first, the others by name.
 * @param {string} one
 * @param {string} other
 * @returns {number}
 */
export function compareTasks(one, other) {
  const known = Object.keys(TASKS);
  const [first, second] = [one, other].map((task) => (known.indexOf(task) + 1 || Infinity));
  return first === second ? one.localeCompare(other) : first - second;
}

/**
 * Return the name of a task or checkpoint with a capital letter, and spaces for hyphens.
 * @param {string} name
 * @returns {string}
 */
export function formatName(name) {
  return name.slice(0, 1).toUpperCase() + name.slice(1).replaceAll("-", " ");
}

/**
 * Return the name of a checkpoint: "Hann window" where it is named for its window.
 * @param {Model} model
 * @returns {string}
 */
export function formatModel({ name, window, runsHere }) {
  if (runsHere) return `${formatName(name)}, on this device`;
  return name === window ? `${formatName(name)} window` : formatName(name);
}

/**
 * Return why there is no label.
 * @param {string | null | undefined} reason as the service names it
 * @returns {string}
 */
export function formatReason(reason) {
  return REASONS[reason ?? ""] ?? "no label fits";
}

/**
 * Return a label as people write it.
 * @param {string | null} label
 * @returns {string}
 */
export function formatLabel(label) {
  return label === null ? NO_LABEL : label.replaceAll("_", " ");
}

/**
 * Return a probability or fraction as a percentage.
 * @param {number} fraction from 0 to 1
 * @returns {string}
 */
export function formatPercent(fraction) {
  return `${(100 * fraction).toFixed(fraction < 0.1 ? 1 : 0)}\u00A0%`;
}

/**
 * Return the labels of a long recording with their fractions of its time, the largest first.
 * @param {[string, number][]} shares at least one
 * @param {string} task
 * @returns {string}
 */
export function formatShares(shares, task) {
  const parts = shares.map(([label, share]) => `${formatLabel(label)} ${formatPercent(share)}`);
  if (parts.length === 1) return `${parts[0]} of the time`;
  const listed = parts.slice(0, MAX_LISTED_SHARES);
  if (parts.length > listed.length) listed.push("…");
  return `${parts.length} ${TASKS[task]?.noun ?? "label"}s: ${listed.join(", ")}`;
}

/**
 * Return a time as m:ss.t
 * @param {number} seconds
 * @returns {string}
 */
export function formatTime(seconds) {
  const tenths = Math.round(10 * seconds);
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return `${Math.floor(tenths / 600)}:${rest}`;
}

/**
 * Return the sample rate, where it is known, the channels and the format of a recording.
 * @param {AudioInfo} audio
 * @returns {string}
 */
export function formatAudioInfo({ sample_rate: sampleRate, channels, format }) {
  const layout = ["mono", "stereo"][channels - 1] ?? `${channels} channels`;
  const rate = sampleRate === null ? [] : [`${sampleRate / 1000} kHz`];
  return [...rate, layout, format].join(" · ");
}
