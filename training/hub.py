"""`earshot push`: a checkpoint as a model folder of Hugging Face, and its upload."""

import argparse
import importlib.util
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import Checkpoint, CheckpointError
from training.card_tables import markdown_table
from training.graph_metadata import card_metadata, write_with_metadata

log = logging.getLogger(__name__)

_README = "README.md"
_REPO = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_LICENCES: Mapping[str, str] = {
    "CC BY 4.0": "cc-by-4.0",
    "CC BY-NC 3.0": "cc-by-nc-3.0",
    "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0",
    "CC BY-NC-ND 4.0": "cc-by-nc-nd-4.0",
    "ODbL 1.0": "odbl",
}
"""of corpora, by their names on the hub"""


class PushError(Exception):
    """A checkpoint cannot be pushed; the message says why."""


USER_ERRORS = (PushError, CheckpointError, OSError)


def run(options: argparse.Namespace) -> None:
    """Run `earshot push`; raise one of `USER_ERRORS`."""
    if not _REPO.fullmatch(options.repo):
        raise PushError(f"expected USER/NAME, such as anna/birds, got {options.repo!r}")
    checkpoint = store.load_folder(options.checkpoint)
    key = checkpoint.key
    folder = options.folder or Path("runs") / f"push-{key.task}-{key.name}"
    write_model_folder(checkpoint, folder, options.repo)
    log.info("wrote %s", folder)
    if not options.no_upload:
        log.info("uploaded to %s", upload(folder, options.repo, private=options.private))


def write_model_folder(checkpoint: Checkpoint, folder: Path, repo: str) -> None:
    """Write a checkpoint with a model card into a folder, which stays a checkpoint of a store.

    The graph has labels, front end and card in its metadata, for whoever has the file alone.

    Args:
        checkpoint: is copied.
        folder: everything in it would be uploaded: it may hold an earlier one, and nothing else.
        repo: `USER/NAME` on the hub.

    Raises:
        PushError: `folder` holds other files.
        CheckpointError, OSError: it cannot be written.
    """
    card = checkpoint.card
    own = {store.CARD, _README, *card.files}
    others = {path.name for path in folder.iterdir()} - own if folder.is_dir() else set()
    if others:
        raise PushError(
            f"{folder} holds other files ({', '.join(sorted(others)[:3])}), which would be "
            "uploaded; name another --folder"
        )
    if card.metrics is None:
        log.warning("%s has no metrics: run earshot evaluate before others use it", checkpoint.key)
    with tempfile.TemporaryDirectory() as work:
        graph = Path(work) / store.MODEL
        write_with_metadata(checkpoint.model, card_metadata(card), graph)
        files = {name: checkpoint.folder / name for name in card.files} | {store.MODEL: graph}
        written = store.save(Path(work) / "store", card, files)
        (written.folder / _README).write_text(model_card(card, repo), encoding="utf-8")
        shutil.copytree(written.folder, folder, dirs_exist_ok=True)


def model_card(card: Card, repo: str) -> str:
    """Return the README of a model: YAML for the hub, and what a person should know."""
    header = yaml.safe_dump(_hub_metadata(card, repo), sort_keys=False, allow_unicode=True)
    corpora = [
        (each.name, f"{each.clips:,}", f"{each.groups:,}", each.licence)
        for each in card.training.corpora
    ]
    held_out = "; ".join(
        f"{corpus}: {', '.join(folds)}" for corpus, folds in card.training.held_out.items()
    )
    name = repo.partition("/")[2]
    where = f"store/{card.task}/{card.name}"
    parts = [
        f"---\n{header}---\n",
        f"# {name}\n",
        f"A {card.network} that says which of {len(card.labels)} labels a recording has: "
        f"{', '.join(card.labels)}. It is a checkpoint of Earshot, `{card.task}/{card.name}`, "
        f"version {card.version}.\n",
        "## Use\n",
        f"```sh\nhf download {repo} --local-dir {where}\nearshot serve --store store\n"
        f"curl -F file=@sound.wav localhost:8000/classify/{card.task}\n```\n",
        f"`model.onnx` is an int8 graph for any runtime of ONNX. It reads "
        f"{_input_text(card)} of clips of {card.input.clip_seconds:g} s at "
        f"{card.input.sample_rate:,} Hz; its metadata has the labels, the parameters of the front "
        "end (`input`), the temperature and the whole card.\n",
        "## How good it is\n",
        _scores(card),
        "## What it was trained on\n",
        markdown_table(("corpus", "recordings", "speakers or sources", "licence"), corpora),
        f"Held out: {held_out}. "
        + (f"It started from {card.training.pretrained}. " if card.training.pretrained else "")
        + "What these licences allow is what the checkpoint may be used for.\n",
        "## What it is not for\n",
        "Judging people, and safety: a sound that is missed, or found where it is not, must cost "
        "nothing. On recordings unlike those above, measure it first: `earshot evaluate`.\n",
    ]
    return "\n".join(parts)


def upload(folder: Path, repo: str, *, private: bool) -> str:
    """Upload a model folder, into a repository that is made if it is missing; return its address.

    `HF_TOKEN` and `HF_ENDPOINT` are read, as by all of Hugging Face's tools.

    Raises PushError when its package is missing, or the hub cannot be reached or refuses.
    """
    later = f"the folder is complete: `hf upload {repo} {folder}` uploads it"
    if importlib.util.find_spec("huggingface_hub") is None:
        raise PushError(f"an upload needs `pip install huggingface_hub`; {later}")
    from huggingface_hub import HfApi  # noqa: PLC0415

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN"))
    try:
        address = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Upload by earshot push")
    except Exception as error:
        # Of the hub, of its HTTP client, which is now this package and now that, and of the token.
        [first, *_] = str(error).strip().splitlines() or [type(error).__name__]
        raise PushError(f"could not upload to {repo}: {first}; {later}") from error
    return str(address)


def _hub_metadata(card: Card, repo: str) -> dict[str, object]:
    """Return the fields that the hub reads: huggingface.co/docs/hub/model-cards."""
    licences = {each.licence for each in card.training.corpora}
    [licence] = licences if len(licences) == 1 else {"several"}
    known = _LICENCES.get(licence)
    fields: dict[str, object] = {
        "license": known or "other",
        **({} if known else {"license_name": "of-the-recordings"}),
        "library_name": "earshot",
        "pipeline_tag": "audio-classification",
        "tags": ["audio", "earshot", "onnx", card.task],
    }
    if card.metrics is not None:
        scores = card.metrics.overall
        fields["metrics"] = ["accuracy", "recall", "f1"]
        measured = (
            ("accuracy", "accuracy", scores.accuracy),
            ("recall", "unweighted average recall", scores.uar),
            ("f1", "macro F1", scores.macro_f1),
        )
        result = {
            "task": {"type": "audio-classification"},
            "dataset": {"type": card.task, "name": f"{card.task}, held-out recordings"},
            "metrics": [
                {"type": kind, "name": name, "value": value} for kind, name, value in measured
            ],
        }
        fields["model-index"] = [{"name": repo.partition("/")[2], "results": [result]}]
    return fields


def _input_text(card: Card) -> str:
    return "log-mel spectrograms" if card.input.kind == "log-mel" else "the samples"


def _scores(card: Card) -> str:
    if card.metrics is None:
        return "It has not been measured.\n"
    rows = [
        (
            name,
            str(scores.clips),
            str(scores.groups),
            *(f"{value:.1%}" for value in (scores.accuracy, scores.uar, scores.macro_f1)),
        )
        for name, scores in (("all", card.metrics.overall), *card.metrics.by_corpus.items())
    ]
    recalls = ", ".join(
        f"{label} {recall:.0%}" for label, recall in card.metrics.overall.recall.items()
    )
    heading = ("corpus", "recordings", "speakers or sources", "accuracy", "UAR", "macro F1")
    return (
        f"{card.metrics.protocol} Measured by `{card.metrics.command}`.\n\n"
        f"{markdown_table(heading, rows)}\nRecall: {recalls}. Expected calibration error "
        f"{card.metrics.expected_calibration_error:.1%}.\n"
    )
