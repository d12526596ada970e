"""List our modules that an upload passes from its bytes to the answer's JSON.

python -m bench.trace_modules [--task TASK] [--file FILE]

A WAV is posted to the application in this process. From the moment that its bytes are complete,
every call of a function of ours is watched. A module carries the upload where one of its functions
is given, holds or returns the bytes, samples, spectrograms, outputs or the prediction that is made
of them. The module that reads the body off the connection comes before, and is not counted.
"""

import argparse
import io
import threading
import wave
from array import array
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from starlette.responses import Response

import app
import earshot
from app.main import create_app
from bench.tables import markdown_table

OUR_FOLDERS = [Path(package.__path__[0]) for package in (app, earshot)]
_DEPTH = 3
"""of attributes and elements that are searched for an array"""
_FEWEST_BYTES = 1000
_FEWEST_VALUES = 10
"""of outputs: there are more logits than that"""


class ModuleTracer:
    """Watches the functions that run from the complete bytes of an upload to its answer."""

    def __init__(self, recording: bytes) -> None:
        self._recording = recording
        self._reader: str | None = None
        """the module that has read the body, once it has"""
        self.running: set[str] = set()
        """modules of which a function ran"""
        self.carrying: dict[str, set[str]] = {}
        """modules of which a function carried the upload -> those functions"""

    def profile(self, frame: FrameType, event: str, value: Any) -> None:
        """Note a call or a return; for `sys.setprofile`."""
        if event not in ("call", "return") or frame.f_code.co_name == "<module>":
            return
        if frame.f_code is Response.__init__.__code__:  # the JSON is there
            self._reader = None
            return
        module = _module_of(frame.f_code.co_filename)
        if module is None or module == self._reader:
            return
        if self._reader is None:
            if event == "return" and isinstance(value, bytes) and value == self._recording:
                self._reader = module
            return
        self.running.add(module)
        values = value if event == "return" else list(frame.f_locals.values())
        if carries_upload(values, _DEPTH):
            self.carrying.setdefault(module, set()).add(frame.f_code.co_qualname)


def carries_upload(value: object, depth: int) -> bool:
    """Return whether a value is, or holds within `depth` steps, data of an upload."""
    if isinstance(value, bytes | bytearray | memoryview):
        return len(value) >= _FEWEST_BYTES
    if isinstance(value, np.ndarray):
        return value.size >= _FEWEST_VALUES
    if type(value).__name__ in ("Classification", "UploadFile", "FormData"):
        return True
    parts: list[object] = []
    if isinstance(value, list | tuple):
        parts = list(value[:10])
    elif type(value).__module__.startswith(("app.", "earshot.")):
        parts = list(getattr(value, "__dict__", {}).values())
    return depth > 0 and any(carries_upload(part, depth - 1) for part in parts)


def make_wav(seconds: int = 3, sample_rate: int = 16_000) -> bytes:
    """Make a WAV of noise, mono: of one clip, as most uploads are."""
    noise = np.random.default_rng(0).integers(-10_000, 10_000, seconds * sample_rate)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(array("h", noise.tolist()).tobytes())
    return file.getvalue()


def trace(task: str, recording: bytes) -> ModuleTracer:
    """Classify a recording in this process, as the whole body of a request, and trace it."""
    tracer = ModuleTracer(recording)
    threading.setprofile(tracer.profile)
    with TestClient(create_app(), base_url="http://localhost") as client:
        # The first request starts threads and loads modules.
        for _ in range(2):
            tracer.running.clear()
            tracer.carrying.clear()
            headers = {"Content-Type": "audio/wav"}
            answer = client.post(f"/classify/{task}", content=recording, headers=headers)
            answer.raise_for_status()
    threading.setprofile(None)
    return tracer


def main() -> None:
    """Trace an upload and print the modules."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="urban-sound")
    parser.add_argument("--file", type=Path, help="the recording (default: 3 s of noise)")
    options = parser.parse_args()
    recording = make_wav() if options.file is None else options.file.read_bytes()
    tracer = trace(options.task, recording)
    rows = [
        {"module": module, "functions": ", ".join(sorted(functions))}
        for module, functions in sorted(tracer.carrying.items())
    ]
    print(f"{len(rows)} modules carry the upload:\n\n{markdown_table(rows)}\n")
    beside = sorted(tracer.running - set(tracer.carrying))
    print(f"{len(beside)} modules run beside it: {', '.join(beside)}")


def _module_of(filename: str) -> str | None:
    path = Path(filename)
    for folder in OUR_FOLDERS:
        if path.is_relative_to(folder):
            return ".".join(path.relative_to(folder.parent).with_suffix("").parts)
    return None


if __name__ == "__main__":
    main()
