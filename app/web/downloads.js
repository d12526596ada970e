/** @import { Classification, Segment } from "./api.js" */
import { hasApiKey } from "./api-key.js";
import { createButton, createElement, getElement } from "./dom.js";

/**
 * Return the labels over time; of a recording that is no longer than a clip, its own.
 * @param {Classification} classification
 * @returns {Segment[]}
 */
export function listSegments({ segments, audio, label, reason, probability }) {
  return segments ?? [{ start: 0, end: audio.seconds, label, reason, probability }];
}

/**
 * Create buttons that save labels over time: as CSV, as a label track of Audacity, as JSON.
 * @param {string} name of the recording
 * @param {Segment[]} segments
 * @param {unknown} whole the JSON
 * @returns {HTMLElement[]}
 */
export function createDownloads(name, segments, whole) {
  const stem = name.replace(/\.[^.]+$/, "");
  const save = (/** @type {string} */ suffix, /** @type {string} */ text) =>
    saveText(`${stem}${suffix}`, text);
  const csv = () => save(".csv", formatSegmentsCsv(segments));
  const audacity = () => save(".txt", formatAudacity(segments));
  const json = () => save(".json", `${JSON.stringify(whole, null, 2)}\n`);
  return [
    createElement("span", { className: "note" }, "Save the timeline:"),
    createButton("CSV", csv, { className: "small" }),
    createButton("Audacity", audacity, { className: "small", title: "a label track, as text" }),
    createButton("JSON", json, { className: "small" }),
  ];
}

/**
 * Create a button that copies a command, or shows it where the browser has no clipboard.
 * @param {string} command
 * @returns {HTMLElement}
 */
export function createCopyButton(command) {
  const button = createButton("Copy as curl", () => void copy(), { className: "small" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      getElement("status").textContent = "The command is copied.";
      button.textContent = "Copied";
    } catch {
      // Browsers have no clipboard for pages over plain HTTP.
      button.replaceWith(createElement("code", { className: "command" }, command));
    }
  };
  return button;
}

/**
 * Return the command that asks the same.
 * @param {Classification} classification
 * @param {string} filename
 * @returns {string}
 */
export function curlCommand({ task, checkpoint, ranked }, filename) {
  const query = new URLSearchParams({ checkpoint: checkpoint.name });
  if (ranked.length) query.set("top_k", String(ranked.length));
  const url = new URL(`classify/${encodeURIComponent(task)}?${query}`, document.baseURI);
  // curl has its own quotes inside the shell's, for names with a comma or a semicolon.
  const escaped = filename.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  const path = /[,;"\\]/.test(filename) ? `"${escaped}"` : filename;
  const key = hasApiKey() ? ['-H "Authorization: Bearer $EARSHOT_API_KEY"'] : [];
  return ["curl", ...key, "-F", quote(`file=@${path}`), quote(url.href)].join(" ");
}

/**
 * Return rows of comma-separated values.
 * @param {(string | number | null | undefined)[][]} rows
 * @returns {string}
 */
export function formatCsv(rows) {
  const cell = (/** @type {string | number | null | undefined} */ value) => {
    const text = String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(cell).join(",")}\n`).join("");
}

/**
 * Save text as a file.
 * @param {string} filename
 * @param {string} text
 */
export function saveText(filename, text) {
  const href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  createElement("a", { href, download: filename }).click();
  // The download has begun when the click is over, in all browsers a little later.
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

function formatSegmentsCsv(/** @type {Segment[]} */ segments) {
  return formatCsv([
    ["start", "end", "label", "probability", "reason"],
    ...segments.map(({ start, end, label, probability, reason }) => [
      ...[start, end, label, probability, reason],
    ]),
  ]);
}

/** Return a label track: Audacity reads times in seconds and a label, separated by tabs. */
function formatAudacity(/** @type {Segment[]} */ segments) {
  return segments
    .filter(({ label }) => label !== null)
    .map(({ start, end, label }) => `${start.toFixed(6)}\t${end.toFixed(6)}\t${label}\n`)
    .join("");
}

function quote(/** @type {string} */ text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
