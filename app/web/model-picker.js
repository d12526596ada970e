/** @import { Model } from "./api.js" */
import { createRadio, getElement } from "./dom.js";
import { compareTasks, formatCaution, formatLabel, formatName, formatTask } from "./format.js";

/** The checkpoint that comes first where the task has it; the service, too, takes it. */
const DEFAULT_NAME = "hann";
const MAX_LISTED_LABELS = 12;

/** The controls that choose the task and its checkpoints. */
export class ModelPicker {
  /** @type {Model[]} */
  #models = [];
  #task = "";
  #name = DEFAULT_NAME;
  #compare = getElement("compare", HTMLInputElement);

  /** @param {() => void} onChange called when another task or checkpoint is chosen */
  constructor(onChange) {
    getElement("tasks").onchange = () => {
      this.#task = checkedValue("task");
      this.#renderTask();
      onChange();
    };
    getElement("checkpoints").onchange = () => {
      this.#name = checkedValue("checkpoint");
      onChange();
    };
    this.#compare.onchange = onChange;
  }

  /**
   * Offer the models of the server.
   * @param {Model[]} models at least one
   */
  setModels(models) {
    const isDefault = (/** @type {Model} */ { name }) => name === DEFAULT_NAME;
    this.#models = [...models.filter(isDefault), ...models.filter((model) => !isDefault(model))];
    const tasks = [...new Set(models.map(({ task }) => task))].sort(compareTasks);
    if (!tasks.includes(this.#task)) this.#task = tasks[0];
    getElement("tasks").replaceChildren(
      ...tasks.map((task) => {
        const checked = task === this.#task;
        return createRadio(formatTask(task), { name: "task", value: task, checked });
      }),
    );
    this.#renderTask();
    getElement("models").hidden = false;
  }

  /** The chosen model; undefined before there are any. @returns {Model | undefined} */
  get model() {
    return this.#taskModels.find(({ name }) => name === this.#name);
  }

  /** The models whose results are wanted. @returns {Model[]} */
  get selected() {
    if (this.#compare.checked) return this.#usableModels;
    return this.model ? [this.model] : [];
  }

  /** All labels of the task. @returns {string[]} */
  get labels() {
    return this.#taskModels.find(({ labels }) => labels)?.labels ?? [];
  }

  get #taskModels() {
    return this.#models.filter(({ task }) => task === this.#task);
  }

  get #usableModels() {
    return this.#taskModels.filter(({ status }) => status !== "failed");
  }

  /** Offer the checkpoints of the task, and say what it is. */
  #renderTask() {
    const [models, usable] = [this.#taskModels, this.#usableModels];
    // Where all have failed each can be chosen: the answer of the service then tells why.
    const choices = usable.length ? usable : models;
    const names = choices.map(({ name }) => name);
    if (!names.includes(this.#name)) {
      this.#name = names.includes(DEFAULT_NAME) ? DEFAULT_NAME : names[0];
    }
    getElement("checkpoints").replaceChildren(
      ...models.map((model) => {
        const value = model.name;
        const [checked, disabled] = [value === this.#name, !choices.includes(model)];
        return createRadio(formatName(value), { name: "checkpoint", value, checked, disabled });
      }),
    );
    const noun = choices.every(({ name, window }) => name === window) ? "window" : "checkpoint";
    getElement("checkpoints-legend").textContent = formatName(noun);
    getElement("compare-text").textContent = `Compare ${noun}s`;
    this.#compare.disabled = usable.length < 2;
    if (this.#compare.disabled) this.#compare.checked = false;
    const failed = models.filter((model) => !usable.includes(model));
    const sentences = failed.map(({ name, error }) => `${formatName(name)} not loaded: ${error}.`);
    getElement("checkpoints-note").textContent = sentences.join(" ");
    getElement("caution").textContent = formatCaution(this.#task);
    getElement("labels").textContent = formatLabels(this.labels);
  }
}

function formatLabels(/** @type {string[]} */ labels) {
  const listed = labels.slice(0, MAX_LISTED_LABELS).map(formatLabel);
  const others = labels.length - listed.length;
  if (others > 0) listed.push(`${others} more`);
  return listed.length ? `Labels: ${listed.join(", ")}.` : "";
}

function checkedValue(/** @type {string} */ name) {
  const radio = document.querySelector(`input[name="${name}"]:checked`);
  return /** @type {HTMLInputElement} */ (radio).value;
}
