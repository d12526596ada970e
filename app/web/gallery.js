/** @import { Genre } from "./api.js" */
/** @import { OnSound } from "./sources.js" */
import { Problem, fetchLevels, fetchTrack } from "./api.js";
import { decodeAudio } from "./audio.js";
import { createButton, createElement, getElement } from "./dom.js";
import { openTrack } from "./sources.js";
import { SpectrogramCanvas } from "./spectrogram-canvas.js";
import { renderTimeTicks } from "./timeline.js";

/** Shows spectrograms of each genre's tracks. */
export class Gallery {
  #select = getElement("gallery-window", HTMLSelectElement);
  /** @type {GenreCard[]} */
  #cards = [];
  #onSound;

  /** @param {OnSound} onSound called for a track that is to be heard */
  constructor(onSound) {
    this.#onSound = onSound;
    this.#select.onchange = () => this.#cards.forEach((card) => card.setWindow(this.#window));
  }

  /**
   * Show the genres.
   * @param {Genre[]} genres
   */
  show(genres) {
    this.#cards = genres.map((genre) => new GenreCard(genre, this.#onSound));
    getElement("genres").replaceChildren(...this.#cards.map((card) => card.figure));
    getElement("gallery").hidden = genres.length === 0;
    this.#cards.forEach((card) => card.setWindow(this.#window));
  }

  /** Draw everything again in the colours of the theme. */
  repaint() {
    this.#cards.forEach((card) => card.repaint());
  }

  get #window() {
    return this.#select.value;
  }
}

/** The spectrogram of a genre's track, a choice of its tracks, and a button to listen. */
class GenreCard {
  #genre;
  #window = "";
  #canvas = createElement("canvas", { role: "img" });
  #frequencies = createElement("div", { className: "frequencies" });
  #ticks = createElement("div", { className: "ticks" });
  #plot = new SpectrogramCanvas(this.#canvas, this.#frequencies);
  #error = createElement("p", { className: "note", hidden: true });
  #select;
  /** Whether it has been scrolled to: what nobody looks at is not drawn. */
  #isSeen = false;
  /** In seconds; null while there is nothing to draw. @type {number | null} */
  #duration = null;
  /** The newest request; the answer to an older one is dropped. */
  #request = 0;

  /**
   * @param {Genre} genre
   * @param {OnSound} onSound
   */
  constructor(genre, onSound) {
    this.#genre = genre;
    this.#select = createElement("select", {
      ariaLabel: `${genre.genre}: recording`,
      onchange: () => void this.#load(),
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
      createElement("div", { className: "spectrogram" }, this.#canvas, this.#frequencies),
      this.#ticks,
      this.#error,
      caption,
    );
    const observer = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      observer.disconnect();
      this.#isSeen = true;
      void this.#load();
    });
    observer.observe(this.figure);
  }

  /**
   * Draw the spectrogram with a window.
   * @param {string} window
   */
  setWindow(window) {
    this.#window = window;
    this.#describe();
    this.#draw();
  }

  /** Draw again in the colours of the theme. */
  repaint() {
    this.#plot.repaint();
  }

  get #track() {
    return this.#genre.tracks[Number(this.#select.value)];
  }

  #describe() {
    const names = [this.#track.title, this.#genre.genre, `${this.#window} window`];
    this.#canvas.ariaLabel = `Spectrogram of ${names.join(", ")}`;
  }

  async #load() {
    if (!this.#isSeen) return;
    const { genre } = this.#genre;
    const { track } = this.#track;
    const request = ++this.#request;
    this.#describe();
    this.#duration = null;
    this.#plot.load(null);
    this.#error.hidden = true;
    try {
      const audio = await decodeAudio(await fetchTrack(genre, track));
      const levels = audio ? null : await fetchLevels({ genre, track }, this.#window);
      if (this.#request !== request) return;
      if (audio) {
        const { numberOfChannels, sampleRate } = audio;
        const numbers = Array.from({ length: numberOfChannels }, (_, i) => i);
        this.#plot.load({ channels: numbers.map((i) => audio.getChannelData(i)), sampleRate });
        this.#duration = audio.duration;
      } else if (levels) {
        this.#plot.load(levels);
        this.#duration = levels.times[levels.times.length - 1];
      }
      this.#draw();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (this.#request !== request) return;
      this.#error.textContent = `This spectrogram could not be drawn: ${error.detail}`;
      this.#error.hidden = false;
    }
  }

  #draw() {
    if (this.#duration === null) return;
    const span = { start: 0, end: this.#duration };
    this.#plot.draw(span, this.#window);
    renderTimeTicks(this.#ticks, span);
  }
}
