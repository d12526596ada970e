import { spectrumColours } from "./colours.js";
import { byId, element } from "./dom.js";
import { pitchHeight } from "./spectrogram.js";

const PITCHES = [500, 1000, 2000, 4000, 8000];

/** Waveform and spectrogram of a recording, computed in a worker. */
export class Picture {
  #wave = /** @type {HTMLCanvasElement} */ (byId("wave"));
  #spectrum = /** @type {HTMLCanvasElement} */ (byId("spectrum"));
  #worker = new Worker(new URL("picture-worker.js", import.meta.url), { type: "module" });
  #job = 0;
  #rate = 1;
  #peaks = new Float32Array();
  #levels = new Uint8Array();

  constructor() {
    this.#worker.onmessage = ({ data }) => {
      if (data.job === this.#job) this.#receive(data);
    };
  }

  /**
   * Draw a recording; null draws nothing.
   * @param {AudioBuffer | null} audio
   * @param {string} window
   */
  show(audio, window) {
    this.#peaks = new Float32Array();
    this.#levels = new Uint8Array(this.#spectrum.width * this.#spectrum.height);
    this.#job++;
    this.repaint();
    if (!audio) return;
    this.#rate = audio.sampleRate;
    const channels = Array.from({ length: audio.numberOfChannels }, (_, i) => audio.getChannelData(i));
    this.#ask(window, channels);
    this.#drawPitches();
  }

  /**
   * Draw the spectrogram anew, seen through another window.
   * @param {string} window
   */
  look(window) {
    if (!this.#peaks.length) return;
    this.#job++;
    this.#ask(window);
  }

  /** Paint what is known in the colours of the theme. */
  repaint() {
    this.#drawWave();
    this.#drawSpectrum(0, this.#levels);
  }

  /**
   * @param {string} window
   * @param {Float32Array[]} [channels] of another recording than before
   */
  #ask(window, channels) {
    const { width: columns, height: rows } = this.#spectrum;
    this.#spectrum.dataset.drawn = "false";
    this.#worker.postMessage({ job: this.#job, channels, rate: this.#rate, window, columns, rows });
  }

  #receive(/** @type {{peaks?: Float32Array, first: number, levels: Uint8Array}} */ { peaks, first, levels }) {
    if (peaks) {
      this.#peaks = peaks;
      this.#drawWave();
      return;
    }
    this.#levels.set(levels, first * this.#spectrum.height);
    this.#drawSpectrum(first, levels);
    const drawn = first + levels.length / this.#spectrum.height;
    this.#spectrum.dataset.drawn = String(drawn === this.#spectrum.width);
  }

  #drawWave() {
    const { width, height } = this.#wave;
    const context = this.#wave.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(this.#wave).color;
    const loudest = this.#peaks.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    const scale = (0.94 * height) / 2 / loudest;
    for (let column = 0; 2 * column < this.#peaks.length; column++) {
      const [low, high] = this.#peaks.subarray(2 * column);
      const top = height / 2 - high * scale;
      context.fillRect(column, top, 1, Math.max((high - low) * scale, 1));
    }
  }

  #drawSpectrum(/** @type {number} */ first, /** @type {Uint8Array} */ levels) {
    const rows = this.#spectrum.height;
    const columns = levels.length / rows;
    if (!columns) return;
    const context = this.#spectrum.getContext("2d");
    const image = context.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = spectrumColours();
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < rows; row++) {
        pixels[(rows - 1 - row) * columns + column] = colours[levels[column * rows + row]];
      }
    }
    context.putImageData(image, first, 0);
  }

  #drawPitches() {
    byId("pitches").replaceChildren(
      ...PITCHES.filter((pitch) => pitchHeight(pitch, this.#rate) < 0.97).map((pitch) => {
        const mark = element("span", {}, pitch < 1000 ? `${pitch} Hz` : `${pitch / 1000} kHz`);
        mark.style.bottom = `${100 * pitchHeight(pitch, this.#rate)}%`;
        return mark;
      }),
    );
  }
}
