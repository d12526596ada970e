import { Problem, fetchGenres, fetchModels } from "./api.js";
import { BatchView } from "./batch.js";
import { Examples } from "./examples.js";
import { Gallery } from "./gallery.js";
import { LiveView } from "./live.js";
import { ModelPicker } from "./model-picker.js";
import { dismissProblem, showProblem } from "./problems.js";
import { RecordingView } from "./recording-view.js";
import { watchSources } from "./sources.js";
import { watchTheme } from "./theme.js";

/** The request for the models of the server; null where it failed. @type {Promise<void> | null} */
let loadingModels = null;

const examples = new Examples(openSound);
const picker = new ModelPicker(() => {
  examples.show(picker.task);
  view.updateModels();
  batch.updateModels();
  live.updateModels();
});
const view = new RecordingView(picker, loadModels);
const batch = new BatchView(picker, loadModels, (file, name) => void view.open(file, name));
const live = new LiveView(picker, openSound, () => {
  view.close();
  batch.close();
});
const gallery = new Gallery(openSound);

/**
 * Show one sound, and no others.
 * @param {Blob | Promise<Blob>} source
 * @param {string} name
 */
function openSound(source, name) {
  batch.close();
  live.close();
  void view.open(source, name);
}

/**
 * Show several files, a row each.
 * @param {File[]} files
 */
function openFiles(files) {
  view.close();
  live.close();
  void batch.open(files);
}

/** Load the models once; again, where that failed. */
function loadModels() {
  loadingModels ??= fetchModels()
    .then((models) => {
      if (!models.length) {
        throw new Problem("This server has no models", "There is no checkpoint in its store.");
      }
      picker.setModels(models);
    })
    .catch((error) => {
      loadingModels = null;
      throw error;
    });
  return loadingModels;
}

async function start() {
  dismissProblem();
  try {
    await loadModels();
    await examples.load(picker.task);
    gallery.show(await fetchGenres());
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showProblem("Earshot", error, start);
  }
}

watchTheme(() => {
  view.repaint();
  gallery.repaint();
});
watchSources(openSound, openFiles, showProblem);
void start();
