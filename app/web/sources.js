/** @import { Genre, Track } from "./api.js" */
import { Problem, fetchTrack } from "./api.js";
import { getElement } from "./dom.js";
import { formatTime } from "./format.js";
import { Recorder } from "./recorder.js";

/**
 * Callbacks for a sound that was chosen, which may still be loading, for several files, and for
 * what failed.
 * @typedef {(source: Blob | Promise<Blob>, name: string) => void} OnSound
 * @typedef {(files: File[]) => void} OnFiles
 * @typedef {(name: string, problem: Problem) => void} OnProblem
 */

/**
 * Watch the ways to give a sound of one's own: files that are chosen or dropped, the microphone.
 * @param {OnSound} onSound
 * @param {OnFiles} onFiles
 * @param {OnProblem} onProblem
 */
export function watchSources(onSound, onFiles, onProblem) {
  const input = getElement("file", HTMLInputElement);
  const take = (/** @type {FileList | undefined | null} */ list) => {
    const files = [...(list ?? [])];
    if (files.length > 1) onFiles(files);
    else if (files.length) onSound(files[0], files[0].name);
  };
  input.onchange = () => {
    take(input.files);
    // Without this the same file could not be chosen again.
    input.value = "";
  };
  watchDrops(take);
  watchMicrophone(onSound, onProblem);
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

function watchDrops(/** @type {(files: FileList | undefined) => void} */ onDrop) {
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
    onDrop(event.dataTransfer?.files);
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
