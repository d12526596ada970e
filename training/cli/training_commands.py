"""Parsers of the commands that train, and write checkpoints."""

import argparse
import os
from pathlib import Path

from training.cli.config import add_config
from training.cli.options import (
    add_cache,
    add_data,
    add_hold_out,
    add_leave_out,
    add_name,
    add_pretrained,
    add_run,
    add_seed,
    add_source,
    add_store,
    checkpoint_name,
    clip_seconds,
    fold_count,
    positive_int,
    window_name,
)
from training.cli.recipe_flags import add_recipe
from training.corpora import CORPORA
from training.tasks import SHIPPED_STORE, TASKS

NETWORKS = ("resnet50", "vgg", "ds-cnn", "mobilenet", "bc-resnet")
"""names in `training.networks.NETWORKS`"""
_BACKBONE = "urban-sound/hann"


def add_training_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that train to the command line."""
    _add_fit(commands)
    _add_pretrain(commands)
    _add_train(commands)
    _add_fine_tune(commands)
    _add_refit_head(commands)
    _add_fit_audio_encoder(commands)
    _add_export(commands)
    _add_push(commands)


def _add_fit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "fit",
        help="fit a task of your own to few recordings, in seconds",
        description="Fit a linear classifier to what a network of Earshot makes of your "
        "recordings, measure it by cross-validation, and write it as a checkpoint that the service "
        "answers with. From 5 recordings of a label; from some hundred, earshot train may be "
        "better. Needs no torch and no GPU.",
    )
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="your recordings: DIR/LABEL/FILE, or DIR/LABEL/SPEAKER/FILE where recordings of one "
        "speaker, animal or session must stay together",
    )
    parser.add_argument(
        "--task", type=checkpoint_name, required=True, metavar="TASK", help="its name"
    )
    add_name(parser, "fit")
    parser.add_argument(
        "--backbone",
        type=Path,
        default=SHIPPED_STORE / _BACKBONE,
        metavar="CHECKPOINT",
        help="STORE/TASK/CHECKPOINT whose network is used "
        f"(default: models_store/{_BACKBONE}; for voices try models_store/emotion/speech-encoder)",
    )
    parser.add_argument(
        "--store",
        type=Path,
        default=Path(os.environ.get("EARSHOT_MODELS_DIR") or SHIPPED_STORE),
        metavar="DIR",
        help="where the checkpoint is written (default: EARSHOT_MODELS_DIR, or models_store)",
    )
    add_seed(parser)
    parser.add_argument(
        "--server",
        metavar="URL",
        help="a running service of the same store, which is told to take the checkpoint; it wants "
        "the key of an admin in EARSHOT_API_KEY",
    )


def _add_pretrain(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "pretrain",
        help="make weights to start from, from all corpora, without labels",
        description="Train a ResNet50 to predict the embedding of YAMNet, a network that knows "
        "521 kinds of sound, on every corpus below DIR; or, with --task, the labels of a task. "
        "Each crop goes through a window drawn at random, so that all windows start equal. What "
        "the tasks hold out is left out here too.",
    )
    parser.add_argument(
        "--task", choices=TASKS, help="learn the labels of this task (default: YAMNet's embedding)"
    )
    add_data(parser)
    add_cache(parser)
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="FILE",
        help="weights of another earshot pretrain to start from (default: at random)",
    )
    add_run(parser, "runs/pretrain or runs/pretrain-TASK")
    for flag in ("--epochs", "--batch-size"):
        parser.add_argument(flag, type=positive_int, metavar="N", help="instead of the recipe's")
    parser.add_argument(
        "--corpora",
        nargs="+",
        choices=tuple(CORPORA),
        metavar="CORPUS",
        help=f"which to learn from (default: all of {', '.join(CORPORA)}; of the task, with one)",
    )


def _add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "train",
        help="train a checkpoint: fit, export, evaluate",
        description="Fit a ResNet50, export it as an int8 graph into a store and measure it on "
        "the speakers or recordings that were held out. An interrupted run goes on.",
    )
    parser.add_argument(
        "--task",
        type=checkpoint_name,
        required=True,
        metavar="TASK",
        help=f"with --data, one of {', '.join(TASKS)}; with --folders, a name of your own",
    )
    # Checked where it is used: the windows' module loads NumPy.
    parser.add_argument(
        "--window",
        type=window_name,
        default="hann",
        metavar="WINDOW",
        help="analysis window: hann, hamming or rectangular (default: hann)",
    )
    parser.add_argument(
        "--name",
        type=checkpoint_name,
        help="of the checkpoint within its task (default: the window's)",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="CHECKPOINT",
        help="STORE/TASK/CHECKPOINT whose predictions are learned from, beside the labels",
    )
    parser.add_argument(
        "--network",
        choices=NETWORKS,
        default=NETWORKS[0],
        help=f"its kind: {NETWORKS[0]}, or one of at most 75,000 weights, which reads samples "
        f"(default: {NETWORKS[0]})",
    )
    add_leave_out(parser, tuple(CORPORA))
    parser.add_argument(
        "--folds",
        type=fold_count,
        metavar="K",
        help="measure the recipe instead of making a checkpoint: train K times, each without one "
        "of K folds that are alike in labels, or official: the ten of UrbanSound8K; prints the "
        "mean with its interval, and goes on fold by fold",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    add_source(source)
    add_cache(parser)
    add_store(parser)
    add_pretrained(parser)
    add_run(parser, "runs/TASK-NAME; with -2, -3, ... where that has finished or is another's")
    add_config(parser)
    add_recipe(parser)


def _add_fine_tune(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "fine-tune",
        help="fine-tune a speech encoder for emotion",
        description="Fine-tune the first layers of a speech encoder for the task emotion, write "
        "the int8 graph into a store, and measure it on the speakers that were held out. Whisper "
        "is averaged with a small head on its layers as they were. An interrupted run goes on.",
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="the corpora")
    parser.add_argument(
        "encoder",
        metavar="ENCODER",
        help="model.bin of a Whisper for CTranslate2; or a Whisper, wav2vec 2.0, HuBERT or WavLM "
        "for transformers, as a folder or by its name on the hub",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    add_cache(parser)
    parser.add_argument(
        "--layers",
        type=positive_int,
        default=5,
        metavar="N",
        help="of the encoder that are kept, from the first (default: 5)",
    )
    parser.add_argument(
        "--clip-seconds",
        type=clip_seconds,
        default=4.0,
        metavar="S",
        help="length of the clips that are classified (default: 4)",
    )
    parser.add_argument(
        "--steps", type=positive_int, default=1_000, metavar="N", help="(default: 1000)"
    )
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        default=20,
        metavar="N",
        help="of each process (default: 20)",
    )
    add_leave_out(parser, TASKS["emotion"].corpora)
    add_seed(parser)
    add_name(parser, "speech-encoder")
    add_store(parser)


def _add_refit_head(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "refit-head",
        help="fit the head of a fine-tuned Whisper anew",
        description="Fit the head that reads a fine-tuned Whisper's layers as they were, and its "
        "OOD output, on the recordings that the checkpoint was trained on, and replace it in its "
        "store. The encoder stays as it is. The card has no metrics until earshot evaluate has "
        "run.",
    )
    add_data(parser)
    add_cache(parser)
    parser.add_argument(
        "--checkpoint",
        type=checkpoint_name,
        default="speech-encoder",
        metavar="NAME",
        help="of the task emotion (default: speech-encoder)",
    )
    add_seed(parser)
    add_store(parser)


def _add_fit_audio_encoder(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    parser = commands.add_parser(
        "fit-audio-encoder",
        help="fit a linear head on YAMNet and aiSFX, which know sounds",
        description="Fit a linear head on the embeddings of YAMNet and aiSFX, two frozen networks "
        "that know sounds of all kinds, write both with it as one int8 graph into a store, and "
        "measure it on what was held out. Takes minutes; wants the package aisfx "
        "(pip install --no-deps aisfx).",
    )
    parser.add_argument(
        "--task",
        type=checkpoint_name,
        default="urban-sound",
        metavar="TASK",
        help="with --folders, a name of your own (default: urban-sound)",
    )
    add_name(parser, "audio-encoder")
    source = parser.add_mutually_exclusive_group(required=True)
    add_source(source)
    add_cache(parser)
    add_store(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the graph before quantisation and the report are written "
        "(default: runs/TASK-NAME)",
    )
    parser.add_argument(
        "--aisfx",
        type=Path,
        metavar="FILE",
        help="weights of aiSFX, checkpoint.pth (default: those of the package)",
    )
    add_hold_out(parser)
    add_seed(parser)


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "export",
        help="quantise a finished run into a store, or write it for other runtimes",
        description="Write the int8 graph and card of a finished run into a store. The card has "
        "no metrics until earshot evaluate has run. With --format, write files for other runtimes "
        "instead, with labels, front end and card in their metadata.",
    )
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="the folder of a finished run; with --format also STORE/TASK/CHECKPOINT",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--edge",
        action="store_true",
        help="train a network of 71,000 weights on the predictions of the run's checkpoint, and "
        "export that as TASK/edge instead: a file of 80 kB that reads samples; an interrupted "
        "run goes on",
    )
    form.add_argument(
        "--weights",
        action="store_true",
        help="add the weights before quantisation (47 MB), for EARSHOT_ENGINE=torch on a GPU",
    )
    form.add_argument(
        "--format",
        choices=("onnx", "openvino", "safetensors"),
        help="model.onnx or model.xml with model.bin, as they are served (int8); or "
        "model.safetensors, the weights before quantisation",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="with --format: where to write (default: RUN/export, or runs/export-TASK-NAME)",
    )
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where checkpoints are (default: the run's)"
    )


def _add_push(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "push",
        help="publish a checkpoint on Hugging Face",
        description="Write a checkpoint with a model card as a model folder of Hugging Face, and "
        "upload it. HF_TOKEN or hf auth login says who you are. Mind the licences of what it was "
        "trained on: the card names them.",
    )
    parser.add_argument("repo", metavar="REPO", help="USER/NAME; it is made if it is missing")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        metavar="CHECKPOINT",
        help="STORE/TASK/CHECKPOINT",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where the model folder is written (default: runs/push-TASK-NAME)",
    )
    parser.add_argument("--private", action="store_true", help="for a repository that is made")
    parser.add_argument(
        "--no-upload", action="store_true", help="write the folder, and look at it first"
    )
