"""Parsers of the commands that measure, and print and draw what was measured."""

import argparse
from pathlib import Path

from training.cli.options import (
    add_cache,
    add_data,
    add_out,
    add_pretrained,
    add_seed,
    add_source,
    add_store,
    checkpoint_name,
    positive_int,
    seed_count,
)
from training.corruptions import CORRUPTIONS, SEVERITIES
from training.tasks import PROTOCOLS


def add_measuring_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that measure to the command line."""
    _add_evaluate(commands)
    _add_corrupt(commands)
    _add_robustness(commands)
    _add_tables(commands)
    _add_compare_windows(commands)
    _add_analyze_genres(commands)


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a checkpoint and write its card",
        description="Classify the recordings that were held out of a checkpoint's training, as "
        "the service would, and write metrics, temperature and OOD threshold into its card. The "
        "checkpoint is the one that a RUN exported or, without RUN, one of a store.",
    )
    parser.add_argument(
        "run", type=Path, nargs="?", metavar="RUN", help="the folder of a run that was exported"
    )
    parser.add_argument(
        "--task", type=checkpoint_name, metavar="TASK", help="without RUN: the checkpoint's task"
    )
    parser.add_argument(
        "--checkpoint",
        type=checkpoint_name,
        metavar="NAME",
        help="without RUN: the checkpoint's name in its task",
    )
    add_source(parser.add_mutually_exclusive_group(), "without RUN: ")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where decoded recordings are kept (default: the run's, or runs/cache)",
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="where checkpoints are (default: the run's, or runs/store)",
    )
    parser.add_argument(
        "--sibling",
        type=Path,
        action="append",
        default=[],
        metavar="STORE",
        help="a store with the same task and name, trained by the same recipe with other "
        "recordings held out; its metrics join the card; may be repeated",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where to write metrics.json, predictions.csv and confusion.png "
        "(default: RUN/report, or runs/report-TASK-NAME)",
    )
    parser.add_argument(
        "--fp32",
        type=Path,
        metavar="FILE",
        help="the graph before quantisation, to measure the loss by it "
        "(default: RUN/model.fp32.onnx)",
    )
    _add_further_measurements(parser)


def _add_further_measurements(parser: argparse.ArgumentParser) -> None:
    """Add the options that measure something else than the held-out recordings as they are."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--corruptions",
        action="store_true",
        help="classify the held-out recordings under nine kinds of corruption, three severities "
        "each; an interrupted run goes on",
    )
    chosen.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        help="classify what training never heard: held-out speakers or sources of each corpus; "
        "new corpora; corpora or languages that each --sibling was trained without; or tags of "
        "street recordings",
    )
    chosen.add_argument(
        "--slices",
        action="store_true",
        help="score the held-out recordings by sex of the speaker, intensity of the emotion, "
        "length and signal-to-noise ratio",
    )
    chosen.add_argument(
        "--ood",
        action="store_true",
        help="score how music, speech, household, animals and machines are rejected",
    )
    chosen.add_argument(
        "--lengths",
        action="store_true",
        help="classify the loudest 10 ms to 2 s of the held-out recordings, and write how short "
        "a recording may be, and the temperature of each length, into the card",
    )
    sample = parser.add_mutually_exclusive_group()
    sample.add_argument(
        "--quick",
        action="store_true",
        help="with --corruptions: 100 recordings, printed and not written into the card",
    )
    sample.add_argument(
        "--recordings",
        type=positive_int,
        metavar="N",
        help="with --corruptions or --lengths: draw so many, labels and groups in proportion "
        "(default: all)",
    )
    parser.add_argument(
        "--noise",
        type=Path,
        metavar="DIR",
        help="with --corruptions: other sounds for the background (default: ESC-50's)",
    )
    parser.add_argument(
        "--speech",
        type=Path,
        metavar="DIR",
        help="with --corruptions: voices for the background (default: the held-out speakers)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="with --corruptions: of all randomness (default: 0)"
    )


def _add_robustness(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "robustness",
        help="print and draw how a store's checkpoints hold under corruptions and elsewhere",
        description="Print what earshot evaluate --corruptions, --protocol, --slices and --ood "
        "have written into a store's cards, as Markdown, and draw robustness.png and ood.png.",
    )
    add_store(parser)
    add_out(parser, "runs/robustness", "the figures")


def _add_corrupt(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "corrupt",
        help="corrupt a recording as evaluate --corruptions does, to listen to it",
        description="Write a copy of a recording with noise, in a room, over a telephone and so "
        "on, mono with 16 bits, as earshot evaluate --corruptions hears it.",
    )
    parser.add_argument("input", type=Path, metavar="IN", help="a recording")
    parser.add_argument("output", type=Path, metavar="OUT", help="the WAV or FLAC file to write")
    parser.add_argument("--kind", choices=CORRUPTIONS, required=True, help="of the corruption")
    parser.add_argument(
        "--severity", type=int, choices=SEVERITIES, required=True, help="from 1, mild, to 3"
    )
    parser.add_argument(
        "--noise",
        type=Path,
        metavar="DIR",
        help="recordings for the background, to any depth; for the kinds noise and speech",
    )
    add_seed(parser)


def _add_tables(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "tables",
        help="print the metrics of a store's cards, as Markdown",
        description="Print the scores, calibration, OOD metrics and recalls of a store's cards.",
    )
    add_store(parser)


def _add_compare_windows(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "compare-windows",
        help="train through each window, and compare",
        description="Train on UrbanSound8K with each window and several seeds, all else being "
        "equal, and compare their predictions on the held-out folds: means and confidence "
        "intervals, a paired bootstrap and McNemar's test, differences per class, confusion "
        "matrices. Finished runs are not repeated; an interrupted one goes on.",
    )
    add_data(parser)
    add_cache(parser)
    add_pretrained(parser)
    parser.add_argument(
        "--epochs", type=int, default=5, help="of each run, the same for all (default: 5)"
    )
    parser.add_argument(
        "--seeds", type=seed_count, default=3, help="runs of each window, at least 2 (default: 3)"
    )
    parser.add_argument(
        "--fold",
        nargs="+",
        default=["1"],
        help="official folds to measure on (default: 1)",
    )
    add_out(parser, "runs/windowing", "runs, windowing.json, windowing.csv and figures")


def _add_analyze_genres(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "analyze-genres",
        help="measure and draw genres of music through each window",
        description="Measure and draw recordings of music: spectrograms of each genre through "
        "each window, and centroid, bandwidth, roll-off, flatness, contrast, zero crossings, "
        "tempo and MFCC means.",
    )
    parser.add_argument(
        "--music", type=Path, required=True, metavar="DIR", help="holds DIR/GENRE/FILE"
    )
    add_out(parser, "runs/genres", "genres.json and the figures")
