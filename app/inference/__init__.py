"""Compiled networks and their predictions."""

import sys
from typing import Literal

# OpenVINO reports to its makers through this package on import, unless it is missing.
# A service that listens to people's recordings reports to nobody.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # makes its import fail

EngineName = Literal["auto", "openvino", "torch"]
"""auto: torch where it finds a GPU, else OpenVINO"""
