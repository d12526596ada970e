/** @import { Genre, Track } from "./api.js" */
import { Problem, fetchTrack } from "./api.js";
import { createButton, getElement } from "./dom.js";
import { EXAMPLES, synthesise } from "./examples.js";
import { formatTime } from "./format.js";
import { Recorder } from "./recorder.js";

/**
 * Callbacks for a sound that was chosen, which may still be loading, and for one that failed.
 * @typedef {(source: Blob | Promise<Blob>, name: string) => void} OnSound
 * @typedef {(name: string, problem: Problem) => void} OnProblem
 */

/**
 * Watch the ways to give a sound: files that are chosen or dropped, the microphone, examples.
 * @param {OnSound} onSound
 * @param {OnProblem} onProblem
 */
export function watchSources(onSound, onProblem) {
  const input = getElement("file", HTMLInputElement);
  input.onchange = () => {
    const file = input.files?.[0];
    if (file) onSound(file, file.name);
    // Without this the same file could not be chosen again.
    input.value = "";
  };
  watchDrops(onSound);
  watchMicrophone(onSound, onProblem);
  getElement("examples").replaceChildren(
    ...EXAMPLES.map((name) =>
      createChip(name, () => onSound(synthesise(name), `${name} (synthesised)`)),
    ),
  );
}

/**
 * Add the first track of each genre to the examples.
 * @param {Genre[]} genres
 * @param {OnSound} onSound
 */
export function addGenreExamples(genres, onSound) {
  getElement("examples").append(
    ...genres.map((genre) =>
      createChip(`${genre.genre} music`, () => openTrack(genre, genre.tracks[0], onSound)),
    ),
  );
}

/**
 * Open a track of the gallery.
 * @param {Genre} genre
 * @param {Track} track
 * @param {OnSound} onSound
 */
export function openTrack({ genre }, { track, title }, onSound) {
  onSound(fetchTrack(genre, track), `${title} (${genre})`);
}

function createChip(/** @type {string} */ text, /** @type {() => void} */ onclick) {
  return createButton(text, onclick, { className: "chip" });
}

function watchDrops(/** @type {OnSound} */ onSound) {
  const highlight = (/** @type {boolean} */ isOver) =>
    getElement("drop").classList.toggle("over", isOver);
  document.ondragover = (event) => {
    event.preventDefault();
    highlight(true);
  };
  document.ondragleave = (event) => {
    if (!event.relatedTarget) highlight(false);
  };
  document.ondrop = (event) => {
    event.preventDefault();
    highlight(false);
    const file = event.dataTransfer?.files[0];
    if (file) onSound(file, file.name);
  };
}

function watchMicrophone(/** @type {OnSound} */ onSound, /** @type {OnProblem} */ onProblem) {
  const recorder = new Recorder();
  const button = getElement("record", HTMLButtonElement);
  const update = () => {
    const { isRecording, startedAt } = recorder;
    const elapsed = formatTime((performance.now() - startedAt) / 1000).slice(0, -2);
    button.classList.toggle("is-recording", isRecording);
    getElement("record-text").textContent = isRecording ? `Stop ${elapsed}` : "Record";
    if (isRecording) setTimeout(update, 200);
  };
  button.onclick = async () => {
    if (recorder.isRecording) {
      recorder.stop();
      return;
    }
    button.disabled = true;
    try {
      await recorder.start((file) => {
        update();
        onSound(file, "Your recording");
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      onProblem("Microphone", error);
    } finally {
      button.disabled = false;
      button.focus();
    }
    update();
  };
}
