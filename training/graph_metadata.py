"""What stands in a graph's file beside the graph, so that whoever has the file alone can use it."""

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import helper

from app.checkpoints.card import Card


def runtime_facts(card: Card) -> dict[str, str]:
    """Return what one needs to answer as the service does, beside the graph, as plain text.

    A program in C shall read it without a parser: lists have a line for each item.
    """
    facts: dict[str, object] = {
        "task": card.task,
        "version": card.version,
        "labels": "\n".join(card.labels),
        "sample_rate": card.input.sample_rate,
        "clip_samples": card.input.clip_samples,
        "clip_hop_samples": card.input.clip_hop_samples,
        "padding": card.input.padding,
        "temperature": card.temperature,
    }
    if card.short is not None:
        pairs = [(each.seconds, each.temperature) for each in card.short.lengths]
        facts["shortest_seconds"] = card.short.shortest_seconds
        facts["temperatures"] = "\n".join(f"{seconds} {value}" for seconds, value in pairs)
    if card.ood is not None and card.ood.threshold is not None:
        facts["ood_threshold"] = card.ood.threshold
        facts["ood_reason"] = card.ood.reason
    return {key: str(value) for key, value in facts.items()}


def card_metadata(card: Card) -> dict[str, str]:
    """Return the runtime facts, the front end as JSON (`input`) and the whole card (`card`)."""
    return {
        **runtime_facts(card),
        "input": card.input.model_dump_json(),
        "card": card.model_dump_json(exclude={"files"}),
    }


def write_with_metadata(source: Path, metadata: Mapping[str, str], path: Path) -> None:
    """Write a copy of an ONNX graph with metadata in the place of what it has."""
    model = onnx.load(source)
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)
