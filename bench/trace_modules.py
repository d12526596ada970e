"""List our modules that an upload passes between its last byte and the answer's JSON.

python -m bench.trace_modules [--task TASK] [--file FILE]

A WAV is posted to the application in this process while every call of a function of ours is
watched. A module carries the upload where one of its functions is given, holds or returns the
file's bytes, samples, spectrograms, outputs or the prediction that is made of them.
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
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    """Watches an ASGI application while it answers, from the last byte of a body on."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._is_on = False
        self.running: set[str] = set()
        """modules of which a function ran"""
        self.carrying: dict[str, set[str]] = {}
        """modules of which a function carried the upload -> those functions"""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def receive_and_begin() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                self._is_on = True
            return message

        await self._application(scope, receive_and_begin, send)

    def profile(self, frame: FrameType, event: str, value: Any) -> None:
        """Note a call or a return; for `sys.setprofile`."""
        if not self._is_on or event not in ("call", "return"):
            return
        if frame.f_code is Response.__init__.__code__:  # the JSON is there
            self._is_on = False
            return
        module = _module_of(frame.f_code.co_filename)
        if module is None or frame.f_code.co_name == "<module>":
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


def make_wav(seconds: int = 8, sample_rate: int = 16_000) -> bytes:
    """Make a WAV of noise, mono: of several clips, so that it gets segments."""
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
    tracer = ModuleTracer(create_app())
    threading.setprofile(tracer.profile)
    with TestClient(tracer) as client:
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
    parser.add_argument("--file", type=Path, help="the recording (default: 8 s of noise)")
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
