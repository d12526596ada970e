"""Fuzz with atheris: `python -m tests.support.fuzz TARGET [FOLDER] [-max_total_time=60 ...]`.

FOLDER keeps the inputs that reached something new; what is found is written to the working
folder. Options: https://llvm.org/docs/LibFuzzer.html#options
"""

import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["app", "python_multipart"]):
    from tests.support.fuzz.targets import TARGETS, seeds


def main() -> None:
    """Fuzz until the time is over or something is found."""
    program, target, *options = sys.argv
    logging.disable()  # the parser's warnings
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds(target)):
            Path(folder, str(number)).write_bytes(seed)
        # libFuzzer writes what is new to the first folder, and only reads the others.
        atheris.Setup([program, *options, folder], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
