"""The windowing experiment: the same training through each analysis window, compared."""

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
from earshot.schemas import FrozenModel, Scores
from training import metrics
from training.card_tables import markdown_table
from training.corpora.csv_tables import URBANSOUND8K
from training.data_source import TrainingData, prepare
from training.dataset import EvalDataset
from training.experiments import windowing_figures
from training.experiments.statistics import (
    Difference,
    Interval,
    mcnemar,
    mean_interval,
    paired_bootstrap,
)
from training.fit import LAST, Run, default_workers
from training.networks import DEFAULT_NETWORK, AudioClassifier
from training.recipes import RECIPES, Recipe, log_mel_config
from training.report import draw_confusions
from training.runs import lock_run_config
from training.tasks import TASKS
from training.train import train_model

TASK = "urban-sound"
LABELS = TASKS[TASK].labels
REFERENCE: WindowName = "hann"
"""what the other windows are compared with"""
RESULTS = "windowing.json"
_PROBABILITIES = "probabilities.npy"


class _RunConfig(FrozenModel):
    """The options of one training of the experiment."""

    window: WindowName
    seed: int
    recipe: Recipe
    held_out: dict[str, tuple[str, ...]]
    train: int
    test: int
    pretrained: Path | None


@dataclass(frozen=True)
class WindowResult:
    """The scores of one window, over all seeds."""

    accuracy: Interval
    macro_f1: Interval
    by_seed: tuple[Scores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """summed over seeds, [true label][predicted label]"""
    recall: Mapping[str, float]
    """of each label, mean over seeds"""


@dataclass(frozen=True)
class Comparison:
    """The difference between a window and the reference."""

    accuracy: Difference
    """mean over seeds; paired bootstrap over source recordings"""
    mcnemar_p: float
    """of the predictions by the mean probability over seeds"""
    recall: Mapping[str, float]
    """of each label"""


@dataclass(frozen=True)
class WindowingResults:
    """The results of the experiment."""

    protocol: str
    epochs: int
    seeds: tuple[int, ...]
    windows: Mapping[WindowName, WindowResult]
    against_reference: Mapping[WindowName, Comparison]


class WindowingExperiment:
    """Trains on UrbanSound8K with each window and several seeds, all else being equal.

    Equal are the recordings, the initial weights, the recipe with its number of epochs and, seed
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
        self._recordings = URBANSOUND8K.read_table(Path(metadata_path), Path(dataset_path))
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
                from were trained on a held-out recording.
        """
        recipe = replace(
            RECIPES[TASK], crop_seconds=2.0, epochs=num_epochs, distillation_weight=0.0
        )
        sample_rate = log_mel_config(recipe, REFERENCE).sample_rate
        data = prepare(self._recordings, self._folds, sample_rate=sample_rate, cache=self._cache)
        probabilities = {
            window: [self._run(data, recipe, window, seed) for seed in self._seeds]
            for window in WINDOWS
        }
        self._results = self._summarise(data, recipe, probabilities)
        write_results(self._results, self._out)
        return self._results

    def plot_results(self) -> list[Path]:
        """Draw the results beside them and return the pictures.

        Raises RuntimeError before `evaluate_all` has run.
        """
        if self._results is None:
            raise RuntimeError("nothing to plot yet: call evaluate_all() first")
        windows = self._results.windows
        confusion = self._out / "windowing-confusion.png"
        confusions = {str(window): result.confusion for window, result in windows.items()}
        draw_confusions(confusions, LABELS, confusion, columns=len(confusions))
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
        self, data: TrainingData, recipe: Recipe, window: WindowName, seed: int
    ) -> NDArray[np.float64]:
        """Return probabilities `[recordings, labels]` of one training, which may have finished."""
        folder = self._out / f"{window}-{seed}"
        config = _RunConfig(
            window=window,
            seed=seed,
            recipe=recipe,
            held_out=self._folds,
            train=len(data.split.train),
            test=len(data.split.test),
            pretrained=self._pretrained,
        )
        lock_run_config(folder, config)
        probabilities = folder / _PROBABILITIES
        if not probabilities.exists():
            inputs = log_mel_config(recipe, window)
            network, _ = train_model(
                data,
                LABELS,
                inputs,
                recipe,
                Run(folder, default_workers()),
                network=DEFAULT_NETWORK,
                seed=seed,
                pretrained=self._pretrained,
            )
            test = EvalDataset(data.split.test, data.waveforms, inputs, LABELS)
            np.save(probabilities, _probabilities(network, test))
            (folder / LAST).unlink()  # a third of a gigabyte that nothing needs any more
        found: NDArray[np.float64] = np.load(probabilities)
        return found

    def _summarise(
        self,
        data: TrainingData,
        recipe: Recipe,
        probabilities: Mapping[WindowName, Sequence[NDArray[np.float64]]],
    ) -> WindowingResults:
        test = data.split.test
        y_true = np.array([LABELS.index(recording.label) for recording in test])
        groups = [recording.group for recording in test]
        windows = {
            window: _window_result(y_true, of_window, len(set(groups)))
            for window, of_window in probabilities.items()
        }
        return WindowingResults(
            protocol=(
                f"UrbanSound8K, fold {', '.join(self._folds['urbansound8k'])} held out "
                f"({len(test)} clips of {len(set(groups))} recordings), "
                f"{len(data.split.train)} clips to learn from, crops of {recipe.crop_seconds:g} s, "
                f"{recipe.epochs} epochs, from "
                f"{'the same pretrained weights' if self._pretrained else 'random weights'}"
            ),
            epochs=recipe.epochs,
            seeds=self._seeds,
            windows=windows,
            against_reference={
                window: Comparison(
                    accuracy=paired_bootstrap(
                        _accuracy_over_seeds(of_window, y_true),
                        _accuracy_over_seeds(probabilities[REFERENCE], y_true),
                        groups,
                        seed=0,
                    ),
                    mcnemar_p=mcnemar(
                        np.mean(of_window, axis=0).argmax(axis=1) == y_true,
                        np.mean(probabilities[REFERENCE], axis=0).argmax(axis=1) == y_true,
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
    """Return the table of `docs/windowing.md`, in Markdown."""
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
        + markdown_table((*heading, "bootstrap p", "McNemar p"), rows)
    )


def _percent(interval: Interval, sign: str = "") -> str:
    mean, low, high = (
        f"{100 * value:{sign}.1f}" for value in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} ({low} to {high})"


def _window_result(
    y_true: NDArray[np.intp],
    probabilities: Sequence[NDArray[np.float64]],
    groups: int,
) -> WindowResult:
    by_seed = tuple(
        metrics.score(y_true, of_seed.argmax(axis=1), LABELS, groups) for of_seed in probabilities
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


def _accuracy_over_seeds(
    probabilities: Sequence[NDArray[np.float64]], y_true: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the fraction of seeds that predict the true label, `[recordings]`."""
    fraction: NDArray[np.float64] = np.mean(
        [of_seed.argmax(axis=1) == y_true for of_seed in probabilities], axis=0
    )
    return fraction


def _probabilities(network: AudioClassifier, test: EvalDataset) -> NDArray[np.float64]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.eval().to(device)
    with torch.inference_mode():
        batches = [
            network(spectrograms.to(device)).double().softmax(dim=1).cpu()
            for spectrograms, _ in DataLoader(test, batch_size=32)
        ]
    found: NDArray[np.float64] = torch.cat(batches).numpy()
    return found
