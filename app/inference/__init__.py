"""Compiled networks and the answers they give."""

import sys

# On import, OpenVINO reports to its makers by way of this package, unless it is missing.
# A service that listens to people's recordings tells nobody anything.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # makes its import fail
