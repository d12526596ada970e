"""Attacks by what was put into the store: cards that name devices, and numbers without measure."""

import json
from pathlib import Path
from typing import Any

from bench.hostile.attack import Attack, Target, send_in_turn
from bench.model_only import STORE
from bench.servers import URBAN_SOUND, Setting

_HASH = "0" * 64
_CHANGES: dict[str, dict[str, Any]] = {
    "device": {"files": {"model.onnx": _HASH, "/dev/zero": _HASH}},
    "elsewhere": {"files": {"model.onnx": _HASH, "../../../../../etc/passwd": _HASH}},
    "cold": {"temperature": 1e-300},
    "many-clips": {"input": {"clip_hop_seconds": 1e-9}},
    "long-file": {},
}


async def bad_cards(target: Target) -> None:
    """Checkpoints of cards that name /dev/zero and 10^-300, and a model of 9 TB: all are asked."""
    content = [target.post(f"{URBAN_SOUND}?checkpoint={name}", "audio/wav", 0) for name in _CHANGES]
    content.append(target.head("GET", "/models"))
    await send_in_turn(target, content)


def _make_store(folder: Path) -> dict[str, Setting]:
    task = folder / "urban-sound"
    task.mkdir()
    whole = STORE / "urban-sound" / "hann"
    (task / "hann").symlink_to(whole)
    card = json.loads((whole / "card.json").read_text())
    for name, changes in _CHANGES.items():
        changed = {
            field: card[field] | value if field == "input" else value
            for field, value in changes.items()
        }
        (task / name).mkdir()
        (task / name / "card.json").write_text(json.dumps({**card, "name": name, **changed}))
        with (task / name / "model.onnx").open("wb") as file:
            file.truncate(9_000_000_000_000)
    return {"models_dir": folder}


STORE_ATTACKS = {"bad cards": Attack(bad_cards, _make_store)}
