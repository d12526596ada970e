import { pictureAddress } from "./api.js";
import { byId, element } from "./dom.js";

/**
 * Show what each genre's recordings look like.
 * @param {import("./api.js").Genre[]} genres
 * @param {(genre: string, clip: number) => void} choose a recording to listen to
 */
export function showGallery(genres, choose) {
  const select = /** @type {HTMLSelectElement} */ (byId("gallery-window"));
  const cards = genres.map((genre) => new Card(genre, choose));
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
   * @param {(genre: string, clip: number) => void} choose
   */
  constructor({ genre, clips }, choose) {
    this.genre = genre;
    this.clips = clips;
    this.window = "hann";
    this.image = /** @type {HTMLImageElement} */ (
      element("img", { loading: "lazy", width: 480, height: 320 })
    );
    this.error = element("p", { className: "note", hidden: true }, "This picture could not be drawn.");
    this.image.onerror = () => this.#failed(true);
    this.image.onload = () => this.#failed(false);
    this.select = /** @type {HTMLSelectElement} */ (
      element("select", { ariaLabel: `${genre}: recording`, onchange: () => this.draw(this.window) })
    );
    this.select.append(...clips.map((name, i) => new Option(name, String(i + 1))));
    const listen = element("button", { type: "button" }, "Listen");
    listen.onclick = () => choose(genre, Number(this.select.value));
    listen.setAttribute("aria-label", `Listen to ${genre}`);
    const bar = element("figcaption", {}, element("h3", {}, genre), this.select, listen);
    this.figure = element("figure", { className: "card" }, this.image, this.error, bar);
  }

  /** @param {string} window */
  draw(window) {
    this.window = window;
    const clip = Number(this.select.value);
    this.image.alt = `Spectrogram of ${this.clips[clip - 1]}, ${this.genre}, ${window} window`;
    this.image.src = pictureAddress(this.genre, clip, window);
  }

  #failed(/** @type {boolean} */ failed) {
    this.image.hidden = failed;
    this.error.hidden = !failed;
  }
}
