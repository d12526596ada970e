/** @import { Player } from "./player.js" */
/** @import { Span } from "./spectrogram-canvas.js" */
import { getElement } from "./dom.js";
import { formatTime } from "./format.js";

/** Pixels that the pointer may move in a click. */
const CLICK_PIXELS = 4;
/** Of the shortest part that can be repeated or shown, in seconds. */
const MIN_SECONDS = 0.05;

/**
 * The plot of a recording as a control: a click or the arrow keys move, dragging or Shift with the
 * arrow keys selects a part, which is repeated and can be zoomed into.
 */
export class Stage {
  #stage = getElement("stage");
  #playhead = getElement("playhead");
  #selectionBox = getElement("selection");
  #zoomIn = getElement("zoom-in", HTMLButtonElement);
  #zoomOut = getElement("zoom-out", HTMLButtonElement);
  #clear = getElement("clear-selection", HTMLButtonElement);
  #player;
  #describe;
  #onView;
  /** What is shown of the recording. @type {Span} */
  #view = { start: 0, end: 0 };
  /** @type {Span | null} */
  #selection = null;
  /** Where a selection began. */
  #anchor = 0;

  /**
   * @param {Player} player
   * @param {(seconds: number) => string} describe returns the label at a time, in words
   * @param {() => void} onView called when another part is shown
   */
  constructor(player, describe, onView) {
    this.#player = player;
    this.#describe = describe;
    this.#onView = onView;
    this.#watchPointer();
    this.#stage.onkeydown = (event) => this.#handleKey(event);
    this.#zoomIn.onclick = () => this.#press(() => this.#selection && this.show(this.#selection));
    this.#zoomOut.onclick = () => this.#press(() => this.show({ start: 0, end: player.duration }));
    this.#clear.onclick = () => this.#press(() => this.#select(null));
  }

  /** What is shown of the recording. */
  get view() {
    return this.#view;
  }

  /** Show the whole recording, with nothing selected. */
  reset() {
    this.#select(null);
    this.#view = { start: 0, end: this.#player.duration };
    this.update();
  }

  /** Show the position, and what is known about it. */
  update() {
    const { position, duration } = this.#player;
    const at = this.#fraction(position);
    this.#playhead.style.left = `${100 * at}%`;
    this.#playhead.hidden = at < 0 || at > 1;
    const times = [position, duration].map(formatTime);
    getElement("clock").textContent = duration ? times.join(" / ") : "";
    const [now, max] = [position.toFixed(1), duration.toFixed(1)];
    this.#stage.setAttribute("aria-valuemax", max);
    this.#stage.setAttribute("aria-valuenow", now);
    const description = this.#describe(position);
    const text = `${now} of ${max} seconds`;
    this.#stage.setAttribute("aria-valuetext", description ? `${text}, ${description}` : text);
    this.#updateSelection();
  }

  #updateSelection() {
    const selection = this.#selection;
    const isZoomed = this.#view.start > 0 || this.#view.end < this.#player.duration;
    getElement("selection-bar").hidden = !selection && !isZoomed;
    const { start: from, end: to } = this.#view;
    const isShownAlone = selection !== null && selection.start <= from && selection.end >= to;
    this.#selectionBox.hidden = this.#zoomIn.hidden = !selection || isShownAlone;
    this.#clear.hidden = !selection;
    this.#zoomOut.hidden = !isZoomed;
    getElement("selection-text").textContent = "";
    if (!selection) return;
    const [start, end] = [selection.start, selection.end].map((time) =>
      Math.min(Math.max(this.#fraction(time), 0), 1),
    );
    this.#selectionBox.style.left = `${100 * start}%`;
    this.#selectionBox.style.width = `${100 * (end - start)}%`;
    const times = [selection.start, selection.end].map(formatTime);
    getElement("selection-text").textContent = `${times.join(" to ")}, repeated`;
  }

  /**
   * Show a part of the recording.
   * @param {Span} view
   */
  show({ start, end }) {
    this.#view = { start: Math.max(start, 0), end: Math.min(end, this.#player.duration) };
    this.update();
    this.#onView();
  }

  #press(/** @type {() => void} */ action) {
    action();
    // The button that was pressed may be hidden now.
    this.#stage.focus();
  }

  #select(/** @type {Span | null} */ span) {
    const isEmpty = !span || span.end - span.start < MIN_SECONDS;
    this.#selection = isEmpty ? null : span;
    this.#player.setLoop(this.#selection);
    this.update();
  }

  #selectTo(/** @type {number} */ seconds) {
    const time = Math.min(Math.max(seconds, 0), this.#player.duration);
    this.#select({ start: Math.min(this.#anchor, time), end: Math.max(this.#anchor, time) });
  }

  #watchPointer() {
    let startX = 0;
    let isDragging = false;
    this.#stage.onpointerdown = (event) => {
      if (event.button !== 0) return;
      this.#stage.setPointerCapture(event.pointerId);
      startX = event.clientX;
      isDragging = false;
      this.#anchor = this.#timeAt(event);
    };
    this.#stage.onpointermove = (event) => {
      if (!this.#stage.hasPointerCapture(event.pointerId)) return;
      isDragging ||= Math.abs(event.clientX - startX) > CLICK_PIXELS;
      if (isDragging) this.#selectTo(this.#timeAt(event));
    };
    this.#stage.onpointerup = (event) => {
      if (!this.#stage.hasPointerCapture(event.pointerId)) return;
      const time = this.#timeAt(event);
      const selection = this.#selection;
      if (isDragging && selection) {
        this.#player.seek(selection.start);
        return;
      }
      if (selection && (time < selection.start || time > selection.end)) this.#select(null);
      this.#player.seek(time);
    };
  }

  #timeAt(/** @type {PointerEvent} */ event) {
    const { left, width } = this.#stage.getBoundingClientRect();
    const { start, end } = this.#view;
    return start + ((event.clientX - left) / width) * (end - start);
  }

  #fraction(/** @type {number} */ seconds) {
    const { start, end } = this.#view;
    return end > start ? (seconds - start) / (end - start) : 0;
  }

  #handleKey(/** @type {KeyboardEvent} */ event) {
    const { position, duration } = this.#player;
    const step = this.#view.end - this.#view.start > 20 ? 1 : 0.25;
    /** @type {Record<string, number>} */
    const moves = {
      ArrowLeft: position - step,
      ArrowDown: position - step,
      ArrowRight: position + step,
      ArrowUp: position + step,
      PageDown: position - 10 * step,
      PageUp: position + 10 * step,
      Home: 0,
      End: duration,
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      if (event.shiftKey && !this.#selection) this.#anchor = position;
      this.#player.seek(moves[event.key]);
      if (event.shiftKey) this.#selectTo(this.#player.position);
    } else if (event.key === " " || event.key === "Enter") {
      this.#player.toggle();
    } else if (event.key === "Escape" && this.#selection) {
      this.#select(null);
    } else {
      return;
    }
    event.preventDefault();
  }
}
