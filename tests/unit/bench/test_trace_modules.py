"""The way of an upload from its last byte to the answer's JSON stays short."""

import re
import subprocess
import sys

import numpy as np
import pytest

from app.decoding.limits import AudioLimits
from bench.trace_modules import carries_upload

MOST_MODULES = 14


def test_an_upload_passes_few_modules() -> None:
    command = [sys.executable, "-m", "bench.trace_modules"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    modules = re.findall(r"^\| ((?:app|earshot)\S+) \|", output, re.M)
    assert output.startswith(f"{len(modules)} modules carry the upload:")
    assert len(modules) <= MOST_MODULES
    assert {"app.api.routes.classify", "app.decoding.recording", "app.inference.engine"} <= set(
        modules
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (bytes(1000), True),
        (bytes(10), False),
        (np.zeros(10), True),
        (np.zeros(3), False),
        ([("clip", np.zeros(10))], True),
        (AudioLimits(), False),
    ],
)
def test_data_of_an_upload_is_told_from_the_rest(value: object, expected: bool) -> None:
    assert carries_upload(value, 3) == expected
