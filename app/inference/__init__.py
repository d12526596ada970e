"""Compiled networks and their predictions."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# OpenVINO reports to its makers through this package on import, unless it is missing.
# A service that listens to people's recordings reports to nobody.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # makes its import fail

EngineName = Literal["auto", "openvino", "torch"]
"""auto: torch where it finds a GPU, else OpenVINO"""


@dataclass(frozen=True)
class EngineConfig:
    """How networks run."""

    engine: EngineName = "auto"
    streams: int = 1
    """batches that one network works on at the same time"""
    cache_dir: Path | None = None
    """folder for compiled graphs"""
    max_requests: int = 32
    """requests whose clips may wait for one network, a block of each"""
    load_timeout_seconds: float = 120.0
    """longest time until a checkpoint is loaded and has passed its self-test"""
