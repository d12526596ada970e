import { byId } from "./dom.js";
import { clock } from "./words.js";

/** Plays a recording, and moves through it by pointer and keyboard. */
export class Player {
  #audio = /** @type {HTMLAudioElement} */ (byId("audio"));
  #stage = byId("stage");
  #button = /** @type {HTMLButtonElement} */ (byId("play"));
  #playhead = byId("playhead");
  #clock = byId("clock");
  #describe;
  #seconds = 0;
  /** Kept here too, for recordings that the browser cannot play. */
  #position = 0;

  /** @param {(seconds: number) => string} describe what was heard at a time, in words */
  constructor(describe) {
    this.#describe = describe;
    this.#button.onclick = () => this.toggle();
    this.#audio.onplay = () => this.#follow();
    this.#audio.onpause = () => this.#show();
    this.#audio.ontimeupdate = () => this.#moved();
    this.#audio.onloadedmetadata = () => this.#learnLength();
    this.#stage.onpointerdown = (event) => {
      this.#stage.setPointerCapture(event.pointerId);
      this.#seekTo(event);
    };
    this.#stage.onpointermove = (event) => {
      if (this.#stage.hasPointerCapture(event.pointerId)) this.#seekTo(event);
    };
    this.#stage.onkeydown = (event) => this.#key(event);
  }

  /**
   * @param {Blob | null} blob null where the browser cannot play it
   * @param {number} seconds
   */
  load(blob, seconds) {
    this.#audio.pause();
    if (this.#audio.src) URL.revokeObjectURL(this.#audio.src);
    this.#seconds = seconds;
    this.#position = 0;
    this.#button.disabled = !blob;
    if (blob) this.#audio.src = URL.createObjectURL(blob);
    else this.#audio.removeAttribute("src");
    this.#show();
  }

  toggle() {
    if (this.#button.disabled) return;
    if (this.#audio.paused) this.#audio.play();
    else this.#audio.pause();
  }

  /** Say anew what is at the position, when an answer has come. */
  refresh() {
    this.#show();
  }

  /** @param {number} seconds */
  seek(seconds) {
    this.#position = Math.min(Math.max(seconds, 0), this.#seconds);
    if (this.#audio.src) this.#audio.currentTime = this.#position;
    this.#show();
  }

  #moved() {
    if (this.#audio.seeking || this.#audio.duration === Infinity) return;
    this.#position = this.#audio.currentTime;
    this.#show();
  }

  /** What MediaRecorder wrote has no length until its end is sought; then it can be moved in. */
  #learnLength() {
    if (this.#audio.duration !== Infinity) return;
    this.#audio.ondurationchange = () => {
      this.#audio.ondurationchange = null;
      this.#audio.currentTime = this.#position;
    };
    this.#audio.currentTime = Number.MAX_SAFE_INTEGER;
  }

  #seekTo(/** @type {PointerEvent} */ event) {
    const { left, width } = this.#stage.getBoundingClientRect();
    this.seek(((event.clientX - left) / width) * this.#seconds);
  }

  #key(/** @type {KeyboardEvent} */ event) {
    const step = this.#seconds > 20 ? 1 : 0.25;
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowLeft: () => this.seek(this.#position - step),
      ArrowDown: () => this.seek(this.#position - step),
      ArrowRight: () => this.seek(this.#position + step),
      ArrowUp: () => this.seek(this.#position + step),
      PageDown: () => this.seek(this.#position - 10 * step),
      PageUp: () => this.seek(this.#position + 10 * step),
      Home: () => this.seek(0),
      End: () => this.seek(this.#seconds),
      " ": () => this.toggle(),
      Enter: () => this.toggle(),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Follow the sound more closely than timeupdate tells. */
  #follow() {
    this.#moved();
    this.#show();
    if (!this.#audio.paused) requestAnimationFrame(() => this.#follow());
  }

  #show() {
    const playing = !this.#audio.paused;
    this.#button.dataset.playing = String(playing);
    this.#button.setAttribute("aria-label", playing ? "Pause" : "Play");
    const share = this.#seconds ? Math.min(this.#position / this.#seconds, 1) : 0;
    this.#playhead.style.left = `${100 * share}%`;
    this.#clock.textContent = `${clock(this.#position)} / ${clock(this.#seconds)}`;
    this.#stage.setAttribute("aria-valuemax", this.#seconds.toFixed(1));
    this.#stage.setAttribute("aria-valuenow", this.#position.toFixed(1));
    const heard = this.#describe(this.#position);
    const place = `${this.#position.toFixed(1)} of ${this.#seconds.toFixed(1)} seconds`;
    this.#stage.setAttribute("aria-valuetext", heard ? `${place}, ${heard}` : place);
  }
}
