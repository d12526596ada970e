import { Problem, recording } from "./api.js";
import { byId, element } from "./dom.js";
import { EXAMPLES, make } from "./examples.js";
import { Recorder } from "./recorder.js";
import { clock } from "./words.js";

/**
 * Told a sound that was chosen, which may be on its way still.
 * @typedef {(sound: Blob | Promise<Blob>, name: string) => void} Take
 * @typedef {object} Listener
 * @property {Take} take
 * @property {(name: string, problem: Problem) => void} fail told why there is none
 */

/**
 * Take sounds from files that are chosen or dropped, and from the microphone.
 * @param {Listener} listener
 */
export function watchSources({ take, fail }) {
  const input = /** @type {HTMLInputElement} */ (byId("file"));
  input.onchange = () => {
    const [file] = input.files;
    if (file) take(file, file.name);
    // Else the same file could not be chosen again.
    input.value = "";
  };
  watchDrops(take);
  watchRecording({ take, fail });
  byId("examples").replaceChildren(
    ...EXAMPLES.map((name) => chip(name, () => take(make(name), `${name} (synthesised)`))),
  );
}

/**
 * Offer the first recording of each genre as an example.
 * @param {import("./api.js").Genre[]} genres
 * @param {Take} take
 */
export function offerGenres(genres, take) {
  byId("examples").append(
    ...genres.map((genre) => chip(`${genre.genre} music`, () => takeRecording(genre, 1, take))),
  );
}

/**
 * Take a recording of the library.
 * @param {import("./api.js").Genre} genre
 * @param {number} clip from 1
 * @param {Take} take
 */
export function takeRecording({ genre, recordings }, clip, take) {
  take(recording(genre, clip), `${recordings[clip - 1].title} (${genre})`);
}

function chip(/** @type {string} */ text, /** @type {() => void} */ onclick) {
  return element("button", { type: "button", className: "chip", onclick }, text);
}

function watchDrops(/** @type {Take} */ take) {
  const hint = (/** @type {boolean} */ over) => byId("drop").classList.toggle("over", over);
  document.ondragover = (event) => {
    event.preventDefault();
    hint(true);
  };
  document.ondragleave = (event) => {
    if (!event.relatedTarget) hint(false);
  };
  document.ondrop = (event) => {
    event.preventDefault();
    hint(false);
    const [file] = event.dataTransfer.files;
    if (file) take(file, file.name);
  };
}

function watchRecording(/** @type {Listener} */ { take, fail }) {
  const recorder = new Recorder();
  const button = /** @type {HTMLButtonElement} */ (byId("record"));
  const show = () => {
    button.classList.toggle("recording", recorder.active);
    const seconds = (performance.now() - recorder.began) / 1000;
    byId("record-text").textContent = recorder.active ? `Stop ${clock(seconds).slice(0, -2)}` : "Record";
    if (recorder.active) setTimeout(show, 200);
  };
  button.onclick = async () => {
    if (recorder.active) {
      recorder.stop();
      return;
    }
    button.disabled = true;
    try {
      await recorder.start((file) => {
        show();
        take(file, "Your recording");
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fail("Microphone", error);
    } finally {
      button.disabled = false;
      button.focus();
    }
    show();
  };
}
