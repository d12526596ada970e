/** @import { BatchLine } from "./api.js" */
/** @import { ModelPicker } from "./model-picker.js" */
/** @import { OnSound } from "./sources.js" */
import { Problem, classifyBatch } from "./api.js";
import { createButton, createElement, getElement } from "./dom.js";
import { formatCsv, saveText } from "./downloads.js";
import { classifyBatchOnDevice } from "./on-device.js";
import { dismissProblem, showProblem } from "./problems.js";
import { summarise } from "./results.js";
import { createTimelineRow, mergeSegments } from "./timeline.js";

/** Several files, each a row: what is heard in it, and when. */
export class BatchView {
  #picker;
  #loadModels;
  #onSound;
  /** @type {File[]} */
  #files = [];
  /** What the service said of each file. @type {(BatchLine | undefined)[]} */
  #lines = [];
  #classifying = new AbortController();

  /**
   * @param {ModelPicker} picker
   * @param {() => Promise<void>} loadModels resolves once the picker has its models
   * @param {OnSound} onSound called with a file that is to be shown alone
   */
  constructor(picker, loadModels, onSound) {
    this.#picker = picker;
    this.#loadModels = loadModels;
    this.#onSound = onSound;
    getElement("batch-close").onclick = () => this.close();
    getElement("batch-csv").onclick = () => saveText("earshot.csv", this.#formatCsv());
    getElement("batch-json").onclick = () => saveText("earshot.json", this.#formatJson());
  }

  /**
   * Classify files; the rows are there at once.
   * @param {File[]} files
   */
  async open(files) {
    this.close();
    this.#files = files;
    getElement("batch").hidden = false;
    getElement("batch-title").textContent = `${files.length} files`;
    getElement("batch").scrollIntoView({ block: "nearest" });
    await this.#classify();
  }

  /** Show no files. */
  close() {
    this.#classifying.abort();
    this.#files = [];
    getElement("batch").hidden = true;
  }

  /** Ask the model that is selected now. */
  updateModels() {
    if (this.#files.length) void this.#classify();
  }

  async #classify() {
    this.#classifying.abort();
    this.#classifying = new AbortController();
    const { signal } = this.#classifying;
    dismissProblem();
    this.#lines = this.#files.map(() => undefined);
    getElement("batch-rows").replaceChildren(...this.#files.map((_, i) => this.#createRow(i)));
    this.#showProgress();
    try {
      await this.#loadModels();
      const { model } = this.#picker;
      if (signal.aborted || !model) return;
      const answer = model.runsHere ? classifyBatchOnDevice : classifyBatch;
      await answer(this.#files, model, signal, (line) => {
        if (!signal.aborted) this.#receive(line);
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!signal.aborted) this.#fail(error);
    }
  }

  #receive(/** @type {BatchLine} */ line) {
    const { index, problem } = line;
    if (index === null || index === undefined) {
      // The whole request went wrong; the files before are answered.
      if (problem) this.#fail(new Problem(problem.title, problem.detail, problem.status));
      return;
    }
    this.#lines[index] = line;
    getElement("batch-rows").children[index].replaceWith(this.#createRow(index));
    this.#showProgress();
  }

  #fail(/** @type {Problem} */ problem) {
    showProblem(`${this.#files.length} files`, problem, () => void this.#classify());
    this.#showProgress();
  }

  #showProgress() {
    const answered = this.#lines.filter((line) => line).length;
    const failed = this.#lines.filter((line) => line?.problem).length;
    const text =
      `${answered} of ${this.#files.length} classified` + (failed ? `, ${failed} refused` : "");
    getElement("batch-progress").textContent = text;
    if (answered === this.#files.length) getElement("status").textContent = text;
  }

  #createRow(/** @type {number} */ index) {
    const file = this.#files[index];
    const line = this.#lines[index];
    const open = createButton(file.name, () => this.#onSound(file, file.name), {
      className: "link",
      ariaLabel: `Show ${file.name}`,
    });
    const row = createElement("tr", {}, createElement("th", { scope: "row" }, open));
    if (line?.problem) {
      const { title, detail } = line.problem;
      const text = createElement("span", { className: "problem-title" }, title);
      row.append(createElement("td", { colSpan: 2 }, text, `: ${detail}`));
      return row;
    }
    const result = line?.result;
    if (!result) {
      row.append(createElement("td", { colSpan: 2, className: "waiting" }, "Listening…"));
      return row;
    }
    const { text, reason } = summarise(result);
    const heard = createElement("td", {}, text);
    if (reason) heard.append(createElement("span", { className: "note" }, ` ${reason}`));
    const timeline = createTimelineRow(mergeSegments(result), this.#picker.labels, {
      start: 0,
      end: result.audio.seconds,
    });
    row.append(heard, createElement("td", { className: "batch-timeline" }, timeline));
    return row;
  }

  #formatCsv() {
    return formatCsv([
      ["file", "label", "probability", "ranked", "reason", "error"],
      ...this.#files.map(({ name }, i) => {
        const { result, problem } = this.#lines[i] ?? {};
        const ranked = result?.ranked.map((each) => `${each.label}=${each.probability}`).join(" ");
        const { label, probability, reason } = result ?? {};
        return [name, label, probability, ranked, reason, problem?.detail];
      }),
    ]);
  }

  #formatJson() {
    const answers = this.#files.map(({ name }, i) => {
      const { result, problem } = this.#lines[i] ?? {};
      return { file: name, ...(problem ? { error: problem.detail } : result) };
    });
    return `${JSON.stringify(answers, null, 2)}\n`;
  }
}
