import { Problem, pictureAddress } from "./api.js";
import { byId, element } from "./dom.js";
import { takeRecording } from "./sources.js";

/**
 * Show what each genre's recordings look like.
 * @param {import("./api.js").Genre[]} genres
 * @param {import("./sources.js").Take} take
 */
export function showGallery(genres, take) {
  const select = /** @type {HTMLSelectElement} */ (byId("gallery-window"));
  const cards = genres.map((genre) => new Card(genre, take));
  const draw = () => cards.forEach((card) => card.draw(select.value));
  select.onchange = draw;
  draw();
  byId("genres").replaceChildren(...cards.map((card) => card.figure));
  byId("gallery").hidden = genres.length === 0;
}

/** One genre: a picture, which of its recordings it is of, and a button to listen. */
class Card {
  /**
   * @param {import("./api.js").Genre} genre
   * @param {import("./sources.js").Take} take
   */
  constructor(genre, take) {
    this.genre = genre;
    this.window = "hann";
    this.image = /** @type {HTMLImageElement} */ (
      element("img", { loading: "lazy", width: 480, height: 320 })
    );
    this.error = element("p", { className: "note", hidden: true }, "This picture could not be drawn.");
    this.image.onerror = () => this.#failed(true);
    this.image.onload = () => {
      URL.revokeObjectURL(this.image.src);
      this.#failed(false);
    };
    this.select = /** @type {HTMLSelectElement} */ (
      element("select", { ariaLabel: `${genre.genre}: recording`, onchange: () => this.draw(this.window) })
    );
    this.select.append(...genre.recordings.map(({ title }, i) => new Option(title, String(i + 1))));
    const listen = element("button", { type: "button" }, "Listen");
    listen.onclick = () => takeRecording(genre, Number(this.select.value), take);
    listen.setAttribute("aria-label", `Listen to ${genre.genre}`);
    const bar = element("figcaption", {}, element("h3", {}, genre.genre), this.select, listen);
    this.figure = element("figure", { className: "card" }, this.image, this.error, bar);
  }

  /** @param {string} window */
  async draw(window) {
    this.window = window;
    const clip = Number(this.select.value);
    const { genre, recordings } = this.genre;
    this.image.alt = `Spectrogram of ${recordings[clip - 1].title}, ${genre}, ${window} window`;
    const address = pictureAddress(genre, clip, window);
    this.newest = address;
    try {
      const found = await address;
      if (this.newest === address) this.image.src = found;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#failed(true);
    }
  }

  #failed(/** @type {boolean} */ failed) {
    this.image.hidden = failed;
    this.error.hidden = !failed;
  }
}
