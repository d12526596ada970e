/** @import { Model } from "./api.js" */
import { createButton, createElement, createRadio, getElement } from "./dom.js";
import {
  compareTasks,
  formatCaution,
  formatIntroduction,
  formatLabel,
  formatName,
  formatTask,
} from "./format.js";
import { createSwatch } from "./theme.js";

const MAX_LISTED_LABELS = 16;
const ABOUT_CHECKPOINTS =
  "A checkpoint is a trained network; the first answers where a request names none.";
const ABOUT_WINDOWS =
  "Those named for an analysis window were trained on spectra seen through it: it fades out the " +
  "ends of each short frame, Hann wholly, Hamming almost, rectangular not at all.";

const ABOUT_DEVICE =
  "A small network answers in this page, and nothing is sent. It is less often right. About 4 MB " +
  "are loaded once.";

const [STAY, LEAVE] = [
  "Recordings stay on this device.",
  "Recordings go to this server and nowhere else.",
];

/** The controls that choose the task and its checkpoints. */
export class ModelPicker {
  /** @type {Model[]} */
  #models = [];
  #task = "";
  #name = "";
  #compare = getElement("compare", HTMLInputElement);
  #onDevice = getElement("on-device", HTMLInputElement);

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
    this.#onDevice.onchange = () => {
      this.#renderTasks();
      this.#renderTask();
      onChange();
    };
  }

  /**
   * Offer the models of the server.
   * @param {Model[]} models at least one
   */
  setModels(models) {
    this.#models = [
      ...models.filter((model) => model.is_default),
      ...models.filter((model) => !model.is_default),
    ];
    const tasks = [...new Set(models.map(({ task }) => task))].sort(compareTasks);
    if (!tasks.includes(this.#task)) this.#task = tasks[0];
    getElement("introduction").textContent = formatIntroduction(models);
    this.#renderTasks();
    this.#renderTask();
    getElement("models").hidden = false;
    getElement("advanced").hidden = false;
  }

  /** The chosen task; empty before there are any. @returns {string} */
  get task() {
    return this.#task;
  }

  /** The chosen model; undefined before there are any. @returns {Model | undefined} */
  get model() {
    if (this.#onDevice.checked && this.#student) return { ...this.#student, runsHere: true };
    return this.#taskModels.find(({ name }) => name === this.#name);
  }

  /** The models whose results are wanted. @returns {Model[]} */
  get selected() {
    if (this.#compare.checked && !this.#onDevice.checked) return this.#usableModels;
    return this.model ? [this.model] : [];
  }

  /** All labels of the task. @returns {string[]} */
  get labels() {
    return this.#taskModels.find(({ labels }) => labels)?.labels ?? [];
  }

  get #taskModels() {
    return this.#models.filter(({ task }) => task === this.#task);
  }

  /** The model of the task that the page can run. */
  get #student() {
    return this.#taskModels.find((model) => model.on_device);
  }

  get #usableModels() {
    return this.#taskModels.filter(({ status }) => status !== "failed");
  }

  /** The tasks that the page can answer by itself. @returns {Set<string>} */
  get #hereTasks() {
    return new Set(this.#models.filter((each) => each.on_device).map(({ task }) => task));
  }

  /** Offer the tasks: while nothing is to be sent, those that need no server. */
  #renderTasks() {
    const tasks = [...new Set(this.#models.map(({ task }) => task))].sort(compareTasks);
    getElement("tasks").replaceChildren(
      ...tasks.map((task) => {
        const checked = task === this.#task;
        const disabled = this.#onDevice.checked && !this.#hereTasks.has(task);
        return createRadio(formatTask(task), { name: "task", value: task, checked, disabled });
      }),
    );
  }

  /** Show the labels of the task, and offer its checkpoints. */
  #renderTask() {
    getElement("caution").textContent = formatCaution(this.#task);
    renderLabels(this.labels);
    const [models, usable] = [this.#taskModels, this.#usableModels];
    getElement("on-device-choice").hidden = !this.#student;
    if (!this.#student) this.#onDevice.checked = false;
    const isHere = this.#onDevice.checked;
    const here = this.#hereTasks;
    const served = new Set(this.#models.map(({ task }) => task).filter((task) => !here.has(task)));
    const others = [...served].sort(compareTasks).map(formatTask).join(", ");
    getElement("on-device-note").textContent =
      ABOUT_DEVICE + (others ? ` Only the server hears: ${others}.` : "");
    getElement("checkpoints-choice").hidden = getElement("checkpoints-about").hidden = isHere;
    getElement("privacy").textContent = isHere ? STAY : LEAVE;
    // Where all have failed each can be chosen: the answer of the service then tells why.
    const choices = usable.length ? usable : models;
    const names = choices.map(({ name }) => name);
    if (!names.includes(this.#name)) this.#name = names[0];
    getElement("checkpoints").replaceChildren(
      ...models.map((model) => {
        const value = model.name;
        const checked = value === this.#name;
        const disabled = !choices.includes(model);
        return createRadio(formatName(value), { name: "checkpoint", value, checked, disabled });
      }),
    );
    const areWindows = choices.every(({ name, window }) => name === window);
    const noun = areWindows ? "window" : "checkpoint";
    getElement("advanced-text").textContent = `${noun}s`;
    const hasWindows = models.some(({ name, window }) => name === window);
    const about = [ABOUT_CHECKPOINTS, ...(hasWindows ? [ABOUT_WINDOWS] : [])];
    getElement("checkpoints-about").textContent = about.join(" ");
    getElement("checkpoints-legend").textContent = formatName(noun);
    getElement("compare-text").textContent = `Compare ${noun}s`;
    this.#compare.disabled = usable.length < 2;
    if (this.#compare.disabled) this.#compare.checked = false;
    const failed = models.filter((model) => !usable.includes(model));
    const sentences = failed.map(({ name, error }) => `${formatName(name)} not loaded: ${error}.`);
    getElement("checkpoints-note").textContent = sentences.join(" ");
  }
}

/**
 * Show labels in the colours that they have along a recording: the first, and a button for more.
 * @param {string[]} labels
 */
function renderLabels(labels) {
  const list = getElement("labels");
  const items = labels.map((label) =>
    createElement("li", {}, createSwatch(label, labels), formatLabel(label)),
  );
  list.replaceChildren(...items.slice(0, MAX_LISTED_LABELS));
  if (items.length <= MAX_LISTED_LABELS) return;
  const rest = items.slice(MAX_LISTED_LABELS);
  const more = createButton(`${rest.length} more`, () => list.replaceChildren(...items), {
    className: "chip",
  });
  list.append(createElement("li", { className: "more" }, more));
}

function checkedValue(/** @type {string} */ name) {
  const radio = document.querySelector(`input[name="${name}"]:checked`);
  return /** @type {HTMLInputElement} */ (radio).value;
}
