"""Does the window matter? The same training through each of the three, and what differs."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from app.audio.stft import WINDOWS, WindowName
from training.tasks import LABELS, TaskName
from earshot.schemas import Scores
from training import metrics as scores
from training.corpora.urbansound8k import read_table
from training.data_source import Material, prepare
from training.dataset import FirstClips
from training.experiments import windowing_figures
from training.experiments.statistics import (
    Difference,
    Interval,
    mcnemar,
    mean_interval,
    paired_bootstrap,
)
from training.fit import LAST, Run, default_workers
from training.networks.resnet import ResNetAudioClassifier
from training.recipes import RECIPES, Recipe, log_mel_config
from training.report import draw_confusions
from training.runs import claim
from training.tables import markdown
from training.train import learn

TASK: TaskName = "urban-sound"
REFERENCE: WindowName = "hann"
"""what the other windows are compared with"""
RESULTS = "windowing.json"
_ANSWERS = "probabilities.npy"


@dataclass(frozen=True)
class WindowResult:
    """How one window did, over all seeds."""

    accuracy: Interval
    macro_f1: Interval
    by_seed: tuple[Scores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """summed over seeds, [true label][answered label]"""
    recall: Mapping[str, float]
    """of each label, mean over seeds"""


@dataclass(frozen=True)
class Comparison:
    """What a window has more than the reference."""

    accuracy: Difference
    """share of right answers, mean over seeds; paired bootstrap over source recordings"""
    mcnemar_p: float
    """of the answers by the mean probability over seeds"""
    recall: Mapping[str, float]
    """of each label"""


@dataclass(frozen=True)
class WindowingResults:
    """What the experiment found."""

    protocol: str
    epochs: int
    seeds: tuple[int, ...]
    windows: Mapping[WindowName, WindowResult]
    against_reference: Mapping[WindowName, Comparison]


class WindowingExperiment:
    """Trains on UrbanSound8K with each window and several seeds, all else being equal.

    Equal are the clips, the initial weights, the recipe with its number of epochs and, seed
    by seed, every random crop, mixture and mask. Runs that are finished are not repeated,
    and one that was interrupted goes on.
    """

    def __init__(
        self,
        dataset_path: str | PathLike[str],
        metadata_path: str | PathLike[str],
        *,
        held_out: Sequence[str] = ("1",),
        seeds: Sequence[int] = (0, 1, 2),
        pretrained: Path | None = None,
        out: Path = Path("runs/windowing"),
        cache: Path = Path("runs/cache"),
    ) -> None:
        """Read the table; nothing is decoded or trained yet.

        Args:
            dataset_path: the folder with `fold1` to `fold10`, officially `audio`.
            metadata_path: `UrbanSound8K.csv`.
            held_out: folds to measure on.
            seeds: one run for each and each window; at least two.
            pretrained: weights of `earshot pretrain` to start from; None: at random.
            out: where runs, results and figures are written.
            cache: folder for decoded recordings.

        Raises:
            CorpusError: the table or a row is wrong, or a file is missing.
            ValueError: fewer than two seeds.
        """
        if len(set(seeds)) < 2:
            raise ValueError(f"at least two different seeds are needed, got {list(seeds)}")
        self._clips = read_table(Path(metadata_path), Path(dataset_path))
        self._folds = {"urbansound8k": tuple(held_out)}
        self._seeds = tuple(seeds)
        self._pretrained = pretrained
        self._out = out
        self._cache = cache
        self._results: WindowingResults | None = None

    def evaluate_all(self, num_epochs: int = 5) -> WindowingResults:
        """Train and measure every window and seed; write `windowing.json` and `windowing.csv`.

        Raises:
            SplitError: the held-out folds do not occur or leave nothing to learn from.
            RunError: the output folder holds runs with other options, or the weights to start
                from have heard a held-out recording.
        """
        recipe = replace(RECIPES[TASK], crop_seconds=2.0, epochs=num_epochs, tutor_share=0.0)
        sample_rate = log_mel_config(recipe, REFERENCE).sample_rate
        material = prepare(self._clips, self._folds, sample_rate=sample_rate, cache=self._cache)
        probabilities = {
            window: [self._run(material, recipe, window, seed) for seed in self._seeds]
            for window in WINDOWS
        }
        self._results = self._summarise(material, recipe, probabilities)
        write_results(self._results, self._out)
        return self._results

    def plot_results(self) -> list[Path]:
        """Draw the results beside them; returns the pictures.

        Raises RuntimeError before `evaluate_all` has run.
        """
        if self._results is None:
            raise RuntimeError("nothing to plot yet: call evaluate_all() first")
        labels = LABELS[TASK]
        windows = self._results.windows
        confusion = self._out / "windowing-confusion.png"
        confusions = {str(window): result.confusion for window, result in windows.items()}
        draw_confusions(confusions, labels, confusion, columns=len(confusions))
        return [
            windowing_figures.draw_scores(
                {
                    window: ([s.accuracy for s in r.by_seed], [s.macro_f1 for s in r.by_seed])
                    for window, r in windows.items()
                },
                self._out / "windowing-scores.png",
            ),
            windowing_figures.draw_recalls(
                {window: list(r.recall.values()) for window, r in windows.items()},
                list(windows[REFERENCE].recall),
                self._out / "windowing-recall.png",
            ),
            confusion,
        ]

    def _run(
        self, material: Material, recipe: Recipe, window: WindowName, seed: int
    ) -> NDArray[np.float64]:
        """Probabilities `[recordings, labels]` of one training, or of one that was finished."""
        folder = self._out / f"{window}-{seed}"
        claim(
            folder,
            {
                "window": window,
                "seed": seed,
                "recipe": asdict(recipe),
                "held_out": self._folds,
                "train": len(material.train),
                "test": len(material.test),
                "pretrained": self._pretrained,
            },
        )
        answers = folder / _ANSWERS
        if not answers.exists():
            run = Run(folder, seed, default_workers())
            config = log_mel_config(recipe, window)
            network, _ = learn(
                material, LABELS[TASK], config, recipe, run, pretrained=self._pretrained
            )
            test = FirstClips(material.test, material.waveforms, config, LABELS[TASK])
            np.save(answers, _probabilities(network, test))
            (folder / LAST).unlink()  # a third of a gigabyte that nothing needs any more
        found: NDArray[np.float64] = np.load(answers)
        return found

    def _summarise(
        self,
        material: Material,
        recipe: Recipe,
        probabilities: Mapping[WindowName, Sequence[NDArray[np.float64]]],
    ) -> WindowingResults:
        labels = LABELS[TASK]
        truth = np.array([labels.index(clip.label) for clip in material.test])
        groups = [clip.group for clip in material.test]
        windows = {
            window: _window_result(truth, of_window, labels, len(set(groups)))
            for window, of_window in probabilities.items()
        }
        return WindowingResults(
            protocol=(
                f"UrbanSound8K, fold {', '.join(self._folds['urbansound8k'])} held out "
                f"({len(material.test)} clips of {len(set(groups))} recordings), "
                f"{len(material.train)} clips to learn from, crops of {recipe.crop_seconds:g} s, "
                f"{recipe.epochs} epochs, from "
                f"{'the same pretrained weights' if self._pretrained else 'random weights'}"
            ),
            epochs=recipe.epochs,
            seeds=self._seeds,
            windows=windows,
            against_reference={
                window: Comparison(
                    accuracy=paired_bootstrap(
                        _right(of_window, truth),
                        _right(probabilities[REFERENCE], truth),
                        groups,
                        seed=0,
                    ),
                    mcnemar_p=mcnemar(
                        np.mean(of_window, axis=0).argmax(axis=1) == truth,
                        np.mean(probabilities[REFERENCE], axis=0).argmax(axis=1) == truth,
                    ),
                    recall={
                        label: value - windows[REFERENCE].recall[label]
                        for label, value in windows[window].recall.items()
                    },
                )
                for window, of_window in probabilities.items()
                if window != REFERENCE
            },
        )


def write_results(results: WindowingResults, folder: Path) -> None:
    """Write `windowing.json` (everything) and `windowing.csv` (a line for each run).

    Raises OSError when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(results)
    for window, result in results.windows.items():
        content["windows"][window]["by_seed"] = [s.model_dump(mode="json") for s in result.by_seed]
    (folder / RESULTS).write_text(
        json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    with (folder / "windowing.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("window", "seed", "accuracy", "macro_f1", "uar"))
        for window, result in results.windows.items():
            for seed, of_seed in zip(results.seeds, result.by_seed, strict=True):
                writer.writerow((window, seed, of_seed.accuracy, of_seed.macro_f1, of_seed.uar))


def comparison_table(results: WindowingResults) -> str:
    """The table of `docs/windowing.md`, in Markdown."""
    heading = ("window", "accuracy", "macro F1", f"accuracy against {REFERENCE}")
    rows = []
    for window, result in results.windows.items():
        compared = results.against_reference.get(window)
        figures = (
            (
                _percent(compared.accuracy.interval, "+"),
                f"{compared.accuracy.p_value:.3f}",
                f"{compared.mcnemar_p:.3f}",
            )
            if compared
            else ("", "", "")
        )
        rows.append((window, _percent(result.accuracy), _percent(result.macro_f1), *figures))
    return (
        f"{results.protocol}; {len(results.seeds)} seeds; in %, with 95 % intervals.\n\n"
        + markdown((*heading, "bootstrap p", "McNemar p"), rows)
    )


def _percent(interval: Interval, sign: str = "") -> str:
    mean, low, high = (
        f"{100 * value:{sign}.1f}" for value in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} ({low} to {high})"


def _window_result(
    truth: NDArray[np.intp],
    probabilities: Sequence[NDArray[np.float64]],
    labels: Sequence[str],
    groups: int,
) -> WindowResult:
    by_seed = tuple(
        scores.score(truth, of_seed.argmax(axis=1), labels, groups) for of_seed in probabilities
    )
    confusion = np.sum([of_seed.confusion for of_seed in by_seed], axis=0)
    return WindowResult(
        accuracy=mean_interval([of_seed.accuracy for of_seed in by_seed]),
        macro_f1=mean_interval([of_seed.macro_f1 for of_seed in by_seed]),
        by_seed=by_seed,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        recall={
            label: float(np.mean([of_seed.recall[label] for of_seed in by_seed]))
            for label in by_seed[0].recall
        },
    )


def _right(
    probabilities: Sequence[NDArray[np.float64]], truth: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Share of seeds that answered right, `[recordings]`."""
    share: NDArray[np.float64] = np.mean(
        [of_seed.argmax(axis=1) == truth for of_seed in probabilities], axis=0
    )
    return share


def _probabilities(network: ResNetAudioClassifier, test: FirstClips) -> NDArray[np.float64]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.eval().to(device)
    with torch.inference_mode():
        batches = [
            network(spectrograms.to(device)).double().softmax(dim=1).cpu()
            for spectrograms, _ in DataLoader(test, batch_size=32)
        ]
    found: NDArray[np.float64] = torch.cat(batches).numpy()
    return found
