"""`earshot fit` on ten categories of ESC-50, beside YAMNet with a logistic regression.

python -m training.experiments.few_clips DATA

Of each category so many clips are learned from; all others are tested on whose source in Freesound
is none of those.
"""

import argparse
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.checkpoints import store
from app.checkpoints.store import ModelKey
from app.inference.classifier import label_probabilities
from app.inference.engine import OpenVinoEngine, recording_outputs
from training.card_tables import markdown_table
from training.corpora import LabeledRecording, load_corpora
from training.linear_probe.command import ProbeConfig, fit_probe
from training.waveforms import READER

CATEGORIES = (
    *("rooster", "cat", "frog", "rain", "sea_waves", "crackling_fire", "church_bells"),
    *("door_knock", "clock_tick", "helicopter"),
)
"""which no task that Earshot ships has as a label"""
_YAMNET_RATE = 16_000

Predict = Callable[[LabeledRecording], str]


def draw(
    recordings: Sequence[LabeledRecording], clips: int, seed: int
) -> tuple[list[LabeledRecording], list[LabeledRecording]]:
    """Return `clips` of each label to learn from, and all of other groups to test on."""
    order = np.random.default_rng(seed).permutation(len(recordings))
    taken: Counter[str] = Counter()
    train = []
    for recording in (recordings[i] for i in order):
        if taken[recording.label] < clips:
            taken[recording.label] += 1
            train.append(recording)
    groups = {recording.group for recording in train}
    return train, [each for each in recordings if each.group not in groups]


def fit_earshot(train: Sequence[LabeledRecording], backbone: Path, work: Path) -> Predict:
    """Fit a checkpoint, as `earshot fit` does, and return what classifies with it."""
    for each in train:
        link = work / "clips" / each.label / each.group.replace(":", "-") / each.path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(each.path.absolute())
    config = ProbeConfig(
        work / "clips", ModelKey("few-clips", "fit"), store.load_folder(backbone), 0, "few_clips"
    )
    checkpoint = fit_probe(config, work / "store")
    card, engine = checkpoint.card, OpenVinoEngine(checkpoint.model)

    def predict(recording: LabeledRecording) -> str:
        samples = _samples(recording, card.input.sample_rate)
        outputs = recording_outputs(engine, samples, card.input)
        return card.labels[int(label_probabilities(outputs, card).mean(axis=0).argmax())]

    return predict


def fit_yamnet(train: Sequence[LabeledRecording]) -> Predict:
    """Fit scikit-learn's logistic regression, as it comes, to YAMNet's mean embeddings."""
    # Needs torch, which `earshot fit` does without.
    from training.teachers.yamnet import Yamnet  # noqa: PLC0415

    yamnet = Yamnet()

    def embed(recording: LabeledRecording) -> NDArray[np.float32]:
        return yamnet.embed(_samples(recording, _YAMNET_RATE))

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    model.fit(np.stack([embed(each) for each in train]), [each.label for each in train])
    return lambda recording: str(model.predict(embed(recording)[None])[0])


def _samples(recording: LabeledRecording, rate: int) -> NDArray[np.float32]:
    return READER.read(recording.path.read_bytes(), sample_rate=rate).samples


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="holds ESC-50-master")
    parser.add_argument("--clips", type=int, nargs="+", default=[5, 20], help="(default: 5 20)")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the clips (default: 3)")
    parser.add_argument("--backbone", type=Path, default=Path("models_store/urban-sound/hann"))
    parser.add_argument("--no-yamnet", action="store_true", help="Earshot alone")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    recordings = [
        each for each in load_corpora(options.data, ["esc50"]) if each.label in CATEGORIES
    ]
    rows = []
    for clips in options.clips:
        for name in ("earshot fit", *([] if options.no_yamnet else ["YAMNet"])):
            accuracies, walls, processors = [], [], []
            for seed in range(options.seeds):
                train, test = draw(recordings, clips, seed)
                with tempfile.TemporaryDirectory() as work:
                    wall, processor = perf_counter(), process_time()
                    predict = (
                        fit_earshot(train, options.backbone, Path(work))
                        if name == "earshot fit"
                        else fit_yamnet(train)
                    )
                    walls.append(perf_counter() - wall)
                    processors.append(process_time() - processor)
                    found = [predict(each) == each.label for each in test]
                accuracies.append(float(np.mean(found)))
            rows.append(
                (
                    name,
                    str(clips),
                    f"{np.mean(accuracies):.1%}",
                    f"{min(accuracies):.1%} to {max(accuracies):.1%}",
                    f"{np.mean(walls):.1f}",
                    f"{np.mean(processors):.1f}",
                )
            )
    heading = ("model", "clips a label", "accuracy", "over the draws", "fit, s", "processor, s")
    sys.stdout.write(markdown_table(heading, rows))


if __name__ == "__main__":
    main()
