/** @import { Span } from "./spectrogram-canvas.js" */
import { getElement } from "./dom.js";

/** Plays a recording, or a part of it again and again. */
export class Player {
  #audio = getElement("audio", HTMLAudioElement);
  #button = getElement("play", HTMLButtonElement);
  #onUpdate;
  #duration = 0;
  /** In seconds; not read from the element, for recordings that the browser cannot play. */
  #position = 0;
  /** @type {Span | null} */
  #loop = null;

  /** @param {() => void} onUpdate called when the position or the duration has changed */
  constructor(onUpdate) {
    this.#onUpdate = onUpdate;
    this.#button.onclick = () => this.toggle();
    this.#audio.onplay = () => this.#animate();
    this.#audio.onpause = () => this.#update();
    this.#audio.onerror = () => {
      this.#button.disabled = true;
    };
    this.#audio.ontimeupdate = () => this.#readPosition();
    this.#audio.onloadedmetadata = () => this.#resolveDuration();
  }

  /** In seconds. */
  get position() {
    return this.#position;
  }

  /** In seconds, 0 until it is known. */
  get duration() {
    return this.#duration;
  }

  /**
   * Load a recording.
   * @param {Blob | null} blob null while there is none yet
   */
  load(blob) {
    this.#audio.pause();
    if (this.#audio.src) URL.revokeObjectURL(this.#audio.src);
    this.#duration = 0;
    this.#position = 0;
    this.#loop = null;
    this.#button.disabled = !blob;
    if (blob) this.#audio.src = URL.createObjectURL(blob);
    else this.#audio.removeAttribute("src");
    this.#update();
  }

  /**
   * Say how long the recording is, which is known only once it is decoded or classified.
   * @param {number} seconds
   */
  setDuration(seconds) {
    this.#duration = seconds;
    this.#update();
  }

  /**
   * Repeat a part of the recording; null plays it to the end.
   * @param {Span | null} span
   */
  setLoop(span) {
    this.#loop = span;
  }

  /** Play or pause. */
  toggle() {
    if (this.#button.disabled) return;
    if (this.#audio.paused) void this.#audio.play();
    else this.#audio.pause();
  }

  /**
   * Move to a time.
   * @param {number} seconds
   */
  seek(seconds) {
    this.#position = Math.min(Math.max(seconds, 0), this.#duration);
    if (this.#audio.src) this.#audio.currentTime = this.#position;
    this.#update();
  }

  #update() {
    const isPlaying = !this.#audio.paused;
    this.#button.dataset.playing = String(isPlaying);
    this.#button.setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    this.#onUpdate();
  }

  #readPosition() {
    if (this.#audio.seeking || this.#audio.duration === Infinity) return;
    this.#position = this.#audio.currentTime;
    const isBeyond = this.#loop && (this.#position >= this.#loop.end || this.#audio.ended);
    if (this.#loop && isBeyond && (!this.#audio.paused || this.#audio.ended)) {
      this.seek(this.#loop.start);
      if (this.#audio.paused) void this.#audio.play();
    }
    this.#update();
  }

  /** Find the duration, which MediaRecorder does not write: it is known once the end is sought. */
  #resolveDuration() {
    if (this.#audio.duration !== Infinity) return;
    this.#audio.ondurationchange = () => {
      this.#audio.ondurationchange = null;
      this.#audio.currentTime = this.#position;
    };
    this.#audio.currentTime = Number.MAX_SAFE_INTEGER;
  }

  /** Update with each frame of the screen while playing; timeupdate comes four times a second. */
  #animate() {
    this.#readPosition();
    this.#update();
    if (!this.#audio.paused) requestAnimationFrame(() => this.#animate());
  }
}
