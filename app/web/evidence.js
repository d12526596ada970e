/** @import { Explanation } from "./api.js" */
/** @import { Span } from "./spectrogram-canvas.js" */
import { createElement, getElement } from "./dom.js";
import { formatLabel, formatPercent, formatTime } from "./format.js";
import { hzToMel } from "./spectrogram.js";
import { evidenceColours } from "./theme.js";

/** Between the weakest evidence and the strongest, where there is a line. */
const CONTOURS = [1 / 3, 2 / 3];
/** Of the veil where nothing speaks for the label, and beyond the clip, from 0 to 255. */
const [VEIL, OUTER_VEIL] = [205, 150];

/**
 * Shows which places of the spectrogram speak for a label: all others fade, and lines surround
 * what speaks for it with more than a third and two thirds of the strongest evidence.
 */
export class EvidenceOverlay {
  #canvas = getElement("evidence", HTMLCanvasElement);
  /** @type {Explanation | null} */
  #explanation = null;

  constructor() {
    getElement("hide-evidence").onclick = () => {
      this.hide();
      getElement("stage").focus();
    };
  }

  /**
   * Take an explanation, which `draw` then draws.
   * @param {Explanation} explanation
   */
  show(explanation) {
    this.#explanation = explanation;
    const { label, probability, clip, map } = explanation;
    const name = createElement("strong", {}, formatLabel(label));
    const times = [clip.start, clip.end].map(formatTime).join(" to ");
    const has = Math.max(...map.flat()) > 0;
    getElement("evidence-text").replaceChildren(
      has ? "What stands out speaks for " : "Nothing speaks for ",
      name,
      `, ${formatPercent(probability)} from ${times}`,
    );
    getElement("evidence-bar").hidden = false;
    this.#canvas.hidden = false;
  }

  /** Show the spectrogram alone. */
  hide() {
    this.#explanation = null;
    getElement("evidence-bar").hidden = true;
    this.#canvas.hidden = true;
  }

  /**
   * Draw the explanation, if there is one.
   * @param {Span} view what is shown of the recording
   * @param {number} maxHz the highest frequency of the spectrogram
   */
  draw(view, maxHz) {
    const context = this.#canvas.getContext("2d");
    const scale = Math.min(devicePixelRatio, 2);
    const width = Math.round(this.#canvas.clientWidth * scale);
    const height = Math.round(this.#canvas.clientHeight * scale);
    if (!this.#explanation || !context || !width) return;
    [this.#canvas.width, this.#canvas.height] = [width, height];
    const { clip } = this.#explanation;
    const values = sampleMap(this.#explanation, view, maxHz, width, height);
    const bands = values.map((value) => CONTOURS.filter((each) => value >= each).length);
    const image = context.createImageData(width, height);
    const { veil, line } = evidenceColours();
    const thickness = Math.round(scale);
    for (let x = 0; x < width; x++) {
      const time = view.start + ((x + 0.5) / width) * (view.end - view.start);
      const isInside = time >= clip.start && time <= clip.end;
      for (let y = 0; y < height; y++) {
        const i = y * width + x;
        const right = x + thickness < width ? i + thickness : i;
        const below = y + thickness < height ? i + thickness * width : i;
        const isLine = isInside && (bands[right] !== bands[i] || bands[below] !== bands[i]);
        const alpha = isInside ? VEIL * (1 - values[i]) : OUTER_VEIL;
        image.data.set(isLine ? [...line, 255] : [...veil, alpha], 4 * i);
      }
    }
    context.putImageData(image, 0, 0);
  }
}

/**
 * Return the evidence for the label at each pixel, from 0 for the weakest, or for what speaks
 * against it, to 1 for the strongest; linear between the places of the map, constant beyond.
 * @param {Explanation} explanation
 * @param {Span} view
 * @param {number} maxHz
 * @param {number} width
 * @param {number} height
 * @returns {Float32Array} [y][x]
 */
function sampleMap({ map, times, frequencies }, view, maxHz, width, height) {
  const weakest = Math.max(Math.min(...map.flat()), 0);
  const range = Math.max(...map.flat(), 0) - weakest || 1;
  const mels = frequencies.map(hzToMel);
  const rows = Array.from({ length: height }, (_, y) =>
    place(hzToMel(maxHz) * (1 - (y + 0.5) / height), mels),
  );
  const columns = Array.from({ length: width }, (_, x) =>
    place(view.start + ((x + 0.5) / width) * (view.end - view.start), times),
  );
  const values = new Float32Array(width * height);
  rows.forEach(([row, down], y) => {
    const [low, high] = [map[row], map[Math.min(row + 1, map.length - 1)]];
    columns.forEach(([column, right], x) => {
      const next = Math.min(column + 1, times.length - 1);
      const lower = low[column] * (1 - right) + low[next] * right;
      const upper = high[column] * (1 - right) + high[next] * right;
      const value = lower * (1 - down) + upper * down;
      values[y * width + x] = Math.max(value - weakest, 0) / range;
    });
  });
  return values;
}

/**
 * Return the place of a value among others that rise evenly: the index below, and how far beyond.
 * @param {number} value
 * @param {number[]} points
 * @returns {[number, number]}
 */
function place(value, points) {
  if (points.length < 2) return [0, 0];
  const position = (value - points[0]) / (points[1] - points[0]);
  const inside = Math.min(Math.max(position, 0), points.length - 1);
  const below = Math.min(Math.floor(inside), points.length - 1);
  return [below, inside - below];
}
