import { byId } from "./dom.js";
import { windowText } from "./words.js";

/** @typedef {import("./api.js").Model} Model */

/** The task and the windows to ask. */
export class Options {
  /** @type {Model[]} */
  models = [];
  #changed;
  #compare = /** @type {HTMLInputElement} */ (byId("compare"));

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    for (const box of [byId("tasks"), byId("windows"), this.#compare]) {
      box.addEventListener("change", () => {
        this.#offer();
        changed();
      });
    }
    this.#offer();
  }

  /** @param {Model[]} models what the server has */
  know(models) {
    this.models = models;
    this.#offer();
    this.#changed();
  }

  get task() {
    return checked("task").value;
  }

  /** The window that is looked through. */
  get window() {
    return checked("window").value;
  }

  /** The windows whose answers are wanted. */
  get windows() {
    return this.#compare.checked ? this.#usable() : [this.window];
  }

  /** All labels of the task. */
  get labels() {
    return this.models.find((model) => model.task === this.task && model.labels)?.labels ?? [];
  }

  /** @returns {string[]} */
  #usable() {
    return this.models
      .filter(({ task, status }) => task === this.task && status !== "failed")
      .map(({ window }) => window);
  }

  /** Leave to choose what the server has for the task. */
  #offer() {
    byId("emotion-note").hidden = this.task !== "emotion";
    const usable = this.#usable();
    const radios = /** @type {NodeListOf<HTMLInputElement>} */ (document.getElementsByName("window"));
    // Where there is none all stay open: the answer then tells why.
    for (const radio of radios) radio.disabled = usable.length > 0 && !usable.includes(radio.value);
    if (checked("window").disabled) [...radios].find((radio) => !radio.disabled).checked = true;
    this.#compare.disabled = usable.length < 2;
    if (this.#compare.disabled) this.#compare.checked = false;
    const missing = [...radios].filter((radio) => radio.disabled).map((radio) => radio.value);
    byId("windows-note").textContent = this.#explain(missing);
  }

  #explain(/** @type {string[]} */ missing) {
    const failed = this.models.filter(({ task, window }) => task === this.task && missing.includes(window));
    const absent = missing.filter((name) => !failed.some(({ window }) => window === name));
    const sentences = failed.map(({ error }) => `Not loaded: ${error}.`);
    if (absent.length) sentences.push(`Not on this server: ${absent.map(windowText).join(", ")}.`);
    return sentences.join(" ");
  }
}

function checked(/** @type {string} */ name) {
  return /** @type {HTMLInputElement} */ (document.querySelector(`input[name="${name}"]:checked`));
}
