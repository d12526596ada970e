/** @import { Genre } from "./api.js" */
/** @import { OnSound } from "./sources.js" */
import { Problem, spectrogramUrl } from "./api.js";
import { createButton, createElement, getElement } from "./dom.js";
import { openTrack } from "./sources.js";

/**
 * Show spectrograms of each genre's tracks.
 * @param {Genre[]} genres
 * @param {OnSound} onSound called for a track that is to be heard
 */
export function renderGallery(genres, onSound) {
  const select = getElement("gallery-window", HTMLSelectElement);
  const cards = genres.map((genre) => new GenreCard(genre, onSound));
  const draw = () => cards.forEach((card) => card.setWindow(select.value));
  select.onchange = draw;
  draw();
  getElement("genres").replaceChildren(...cards.map((card) => card.figure));
  getElement("gallery").hidden = genres.length === 0;
}

/** The spectrogram of a genre's track, a choice of its tracks, and a button to listen. */
class GenreCard {
  #genre;
  #window = "";
  #image = createElement("img", { loading: "lazy", width: 480, height: 320 });
  #error = createElement(
    "p",
    { className: "note", hidden: true },
    "This spectrogram could not be drawn.",
  );
  #select;
  /** The newest request; the answer to an older one is dropped. @type {Promise<string> | null} */
  #request = null;

  /**
   * @param {Genre} genre
   * @param {OnSound} onSound
   */
  constructor(genre, onSound) {
    this.#genre = genre;
    this.#image.onerror = () => this.#showError(true);
    this.#image.onload = () => {
      URL.revokeObjectURL(this.#image.src);
      this.#showError(false);
    };
    this.#select = createElement("select", {
      ariaLabel: `${genre.genre}: recording`,
      onchange: () => void this.#draw(),
    });
    this.#select.append(...genre.tracks.map(({ title }, i) => new Option(title, String(i))));
    const listen = createButton("Listen", () => openTrack(genre, this.#track, onSound), {
      ariaLabel: `Listen to ${genre.genre}`,
    });
    const title = createElement("h3", {}, genre.genre);
    const caption = createElement("figcaption", {}, title, this.#select, listen);
    this.figure = createElement(
      "figure",
      { className: "card" },
      this.#image,
      this.#error,
      caption,
    );
  }

  /**
   * Draw the spectrogram with a window.
   * @param {string} window
   */
  setWindow(window) {
    this.#window = window;
    void this.#draw();
  }

  get #track() {
    return this.#genre.tracks[Number(this.#select.value)];
  }

  async #draw() {
    const { genre } = this.#genre;
    const { track, title } = this.#track;
    this.#image.alt = `Spectrogram of ${title}, ${genre}, ${this.#window} window`;
    // A hidden image would not be loaded.
    this.#showError(false);
    const request = spectrogramUrl(genre, track, this.#window);
    this.#request = request;
    try {
      const url = await request;
      if (this.#request === request) this.#image.src = url;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (this.#request === request) this.#showError(true);
    }
  }

  #showError(/** @type {boolean} */ hasFailed) {
    this.#image.hidden = hasFailed;
    this.#error.hidden = !hasFailed;
  }
}
