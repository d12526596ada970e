/** @import { Example } from "./api.js" */
/** @import { OnSound } from "./sources.js" */
import { fetchExample, fetchExamples } from "./api.js";
import { createButton, getElement } from "./dom.js";
import { formatLabel, formatName } from "./format.js";

/** The recordings that come with Earshot: a button for each that is of the chosen task. */
export class Examples {
  /** @type {Example[]} */
  #examples = [];
  #onSound;

  /** @param {OnSound} onSound */
  constructor(onSound) {
    this.#onSound = onSound;
  }

  /**
   * Ask the server which there are.
   * @param {string} task the one that is chosen
   */
  async load(task) {
    this.#examples = await fetchExamples();
    this.show(task);
  }

  /**
   * Offer those of a task.
   * @param {string} task
   */
  show(task) {
    const examples = this.#examples.filter((example) => example.task === task);
    getElement("examples").replaceChildren(
      ...examples.map(({ file }) => {
        const name = formatName(formatLabel(file.replace(/\.\w+$/, "")));
        return createButton(name, () => this.#onSound(fetchExample(file), name), {
          className: "chip",
        });
      }),
    );
    getElement("examples-section").hidden = !examples.length;
  }
}
