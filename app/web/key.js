import { byId } from "./dom.js";

/** Where the key is kept: until the tab is closed, and for this tab alone. */
const KEPT = "earshot-key";

/** @type {Promise<boolean> | null} */
let question = null;

/** Whether there is a key to send. */
export function hasKey() {
  return sessionStorage.getItem(KEPT) !== null;
}

/**
 * `fetch`, with the key that the server wants: it is asked for when there is none, or a wrong one.
 * @param {string} address
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} a refusal only where no key was given
 */
export async function fetchWithKey(address, options) {
  for (;;) {
    const key = sessionStorage.getItem(KEPT);
    const headers = { ...options?.headers, ...(key && { Authorization: `Bearer ${key}` }) };
    const response = await fetch(address, { ...options, headers });
    if (response.status !== 401) return response;
    // Another request may have been given a new one meanwhile.
    if (key === sessionStorage.getItem(KEPT) && !(await ask(key !== null))) return response;
  }
}

/** One question for all requests that wait for its answer; says whether there was one. */
function ask(/** @type {boolean} */ wrong) {
  question ??= open(wrong).finally(() => {
    question = null;
  });
  return question;
}

/** @returns {Promise<boolean>} */
function open(/** @type {boolean} */ wrong) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));
  const input = /** @type {HTMLInputElement} */ (byId("key"));
  byId("key-note").textContent = wrong ? "The server does not know this key." : "";
  input.value = "";
  dialog.returnValue = "";
  byId("key-form").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEPT, input.value.trim());
    dialog.close("given");
  };
  byId("key-cancel").onclick = () => dialog.close();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "given");
  });
}
