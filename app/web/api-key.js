import { getElement } from "./dom.js";

/** Session storage keeps the key until the tab is closed, and for this tab alone. */
const STORAGE_NAME = "earshot-key";

/** The question that is open now. @type {Promise<boolean> | null} */
let openQuestion = null;

/**
 * Tell whether there is a key to send.
 * @returns {boolean}
 */
export function hasApiKey() {
  return sessionStorage.getItem(STORAGE_NAME) !== null;
}

/**
 * Return the subprotocols of a WebSocket, which can send its key in no other way.
 * @returns {string[]}
 */
export function streamProtocols() {
  const key = sessionStorage.getItem(STORAGE_NAME);
  return key === null ? [] : ["earshot", `earshot.key.${key}`];
}

/**
 * Fetch with the key that the server wants; ask for one where there is none, or a wrong one.
 * @param {string} url
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} of status 401 only where no key was given
 */
export async function fetchWithApiKey(url, options) {
  for (;;) {
    const key = sessionStorage.getItem(STORAGE_NAME);
    const headers = new Headers(options?.headers);
    if (key !== null) headers.set("Authorization", `Bearer ${key}`);
    const response = await fetch(url, { ...options, headers });
    if (response.status !== 401) return response;
    // Another request may have been given a new one meanwhile.
    const isUnchanged = key === sessionStorage.getItem(STORAGE_NAME);
    if (isUnchanged && !(await askForApiKey(key !== null))) return response;
  }
}

/** Ask once for all requests that wait for the key; resolves to whether one was given. */
function askForApiKey(/** @type {boolean} */ isRetry) {
  openQuestion ??= showDialog(isRetry).finally(() => {
    openQuestion = null;
  });
  return openQuestion;
}

/** @returns {Promise<boolean>} */
function showDialog(/** @type {boolean} */ isRetry) {
  const dialog = getElement("key-dialog", HTMLDialogElement);
  const input = getElement("key", HTMLInputElement);
  getElement("key-note").textContent = isRetry ? "The server does not know this key." : "";
  input.value = "";
  dialog.returnValue = "";
  getElement("key-form").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(STORAGE_NAME, input.value.trim());
    dialog.close("given");
  };
  getElement("key-cancel").onclick = () => dialog.close();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "given");
  });
}
