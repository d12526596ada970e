/** @import { PlotSource, Span } from "./spectrogram-canvas.js" */
import { getElement } from "./dom.js";
import { SpectrogramCanvas } from "./spectrogram-canvas.js";

/** Draws the waveform and the spectrogram of the recording. */
export class AudioPlot {
  #waveform = getElement("waveform", HTMLCanvasElement);
  #spectrogram = new SpectrogramCanvas(
    getElement("spectrogram", HTMLCanvasElement),
    getElement("frequencies"),
    (extremes) => this.#setExtremes(extremes),
  );
  /** @type {Float32Array} */
  #extremes = new Float32Array();

  /**
   * Take another recording; null draws nothing.
   * @param {PlotSource | null} source
   */
  load(source) {
    this.#setExtremes(new Float32Array());
    this.#spectrogram.load(source);
  }

  /** The highest frequency that is drawn, in Hz. */
  get maxHz() {
    return this.#spectrogram.maxHz;
  }

  /**
   * Draw a part of the recording.
   * @param {Span} span
   * @param {string} window
   */
  draw(span, window) {
    this.#spectrogram.draw(span, window);
  }

  /** Draw everything again in the colours of the theme. */
  repaint() {
    this.#drawWaveform();
    this.#spectrogram.repaint();
  }

  #setExtremes(/** @type {Float32Array} */ extremes) {
    this.#extremes = extremes;
    this.#drawWaveform();
  }

  #drawWaveform() {
    const columns = this.#extremes.length / 2;
    const { clientHeight } = this.#waveform;
    this.#waveform.width = columns;
    this.#waveform.height = Math.round(clientHeight * Math.min(devicePixelRatio, 2));
    const context = this.#waveform.getContext("2d");
    if (!columns || !context) return;
    const { height } = this.#waveform;
    context.fillStyle = getComputedStyle(this.#waveform).color;
    const scale = (0.94 * height) / 2;
    for (let column = 0; column < columns; column++) {
      const [low, high] = this.#extremes.subarray(2 * column);
      const top = height / 2 - high * scale;
      context.fillRect(column, top, 1, Math.max((high - low) * scale, 1));
    }
  }
}
