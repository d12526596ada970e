/** What is said where nothing known was heard. */
export const NOTHING = "nothing known";

/** @type {Record<string, string>} */
const REASONS = {
  silent: "there is nothing to hear",
  unfamiliar: "this is like no sound that was learned",
  no_voice: "no voice is heard",
};

/**
 * Why there is no label.
 * @param {string | undefined} reason as the service names it
 * @returns {string}
 */
export function reasonText(reason) {
  return REASONS[reason ?? ""] ?? "no label fits";
}

/**
 * A label as people write it.
 * @param {string | null} label
 * @returns {string}
 */
export function labelText(label) {
  return label === null ? NOTHING : label.replaceAll("_", " ");
}

/**
 * @param {number} probability
 * @returns {string}
 */
export function percent(probability) {
  return `${(100 * probability).toFixed(probability < 0.1 ? 1 : 0)} %`;
}

/**
 * Seconds as m:ss.t
 * @param {number} seconds
 * @returns {string}
 */
export function clock(seconds) {
  const tenths = Math.round(10 * seconds);
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return `${Math.floor(tenths / 600)}:${rest}`;
}

/**
 * What a checkpoint's window is called.
 * @param {string} window
 * @returns {string}
 */
export function windowText(window) {
  return window[0].toUpperCase() + window.slice(1);
}
