import { getElement } from "./dom.js";
import { formatTime } from "./format.js";

/** Plays a recording, and seeks in it by pointer and keyboard. */
export class Player {
  #audio = getElement("audio", HTMLAudioElement);
  #stage = getElement("stage");
  #button = getElement("play", HTMLButtonElement);
  #playhead = getElement("playhead");
  #clock = getElement("clock");
  #describe;
  #duration = 0;
  /** In seconds; not read from the element, for recordings that the browser cannot play. */
  #position = 0;

  /** @param {(seconds: number) => string} describe returns the label at a time, in words */
  constructor(describe) {
    this.#describe = describe;
    this.#button.onclick = () => this.toggle();
    this.#audio.onplay = () => this.#animate();
    this.#audio.onpause = () => this.update();
    this.#audio.ontimeupdate = () => this.#readPosition();
    this.#audio.onloadedmetadata = () => this.#resolveDuration();
    this.#stage.onpointerdown = (event) => {
      this.#stage.setPointerCapture(event.pointerId);
      this.#seekToPointer(event);
    };
    this.#stage.onpointermove = (event) => {
      if (this.#stage.hasPointerCapture(event.pointerId)) this.#seekToPointer(event);
    };
    this.#stage.onkeydown = (event) => this.#handleKey(event);
  }

  /**
   * Load a recording.
   * @param {Blob | null} blob null where the browser cannot play it
   * @param {number} duration in seconds
   */
  load(blob, duration) {
    this.#audio.pause();
    if (this.#audio.src) URL.revokeObjectURL(this.#audio.src);
    this.#duration = duration;
    this.#position = 0;
    this.#button.disabled = !blob;
    if (blob) this.#audio.src = URL.createObjectURL(blob);
    else this.#audio.removeAttribute("src");
    this.update();
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
    this.update();
  }

  /** Show the state of the player, and what is known about its position. */
  update() {
    const isPlaying = !this.#audio.paused;
    this.#button.dataset.playing = String(isPlaying);
    this.#button.setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    const fraction = this.#duration ? Math.min(this.#position / this.#duration, 1) : 0;
    this.#playhead.style.left = `${100 * fraction}%`;
    this.#clock.textContent = `${formatTime(this.#position)} / ${formatTime(this.#duration)}`;
    const [position, duration] = [this.#position.toFixed(1), this.#duration.toFixed(1)];
    this.#stage.setAttribute("aria-valuemax", duration);
    this.#stage.setAttribute("aria-valuenow", position);
    const description = this.#describe(this.#position);
    const text = `${position} of ${duration} seconds`;
    this.#stage.setAttribute("aria-valuetext", description ? `${text}, ${description}` : text);
  }

  #readPosition() {
    if (this.#audio.seeking || this.#audio.duration === Infinity) return;
    this.#position = this.#audio.currentTime;
    this.update();
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

  #seekToPointer(/** @type {PointerEvent} */ event) {
    const { left, width } = this.#stage.getBoundingClientRect();
    this.seek(((event.clientX - left) / width) * this.#duration);
  }

  #handleKey(/** @type {KeyboardEvent} */ event) {
    const step = this.#duration > 20 ? 1 : 0.25;
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowLeft: () => this.seek(this.#position - step),
      ArrowDown: () => this.seek(this.#position - step),
      ArrowRight: () => this.seek(this.#position + step),
      ArrowUp: () => this.seek(this.#position + step),
      PageDown: () => this.seek(this.#position - 10 * step),
      PageUp: () => this.seek(this.#position + 10 * step),
      Home: () => this.seek(0),
      End: () => this.seek(this.#duration),
      " ": () => this.toggle(),
      Enter: () => this.toggle(),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Update with each frame of the screen while playing; timeupdate comes four times a second. */
  #animate() {
    this.#readPosition();
    this.update();
    if (!this.#audio.paused) requestAnimationFrame(() => this.#animate());
  }
}
