"""The program in C answers as the file in Python, where ONNX Runtime's header is installed."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from app.checkpoints.store import Checkpoint
from tests.support.sounds import RATE, encode
from tests.unit.edge.test_earshot_edge import FILE, RECORDINGS, edge, noise

SOURCE = FILE.with_suffix(".c")
HEADER = "onnxruntime_c_api.h"
INCLUDES = [Path(root) / "include" / "onnxruntime" for root in ("/usr", "/usr/local")]
TOLERANCE = 5e-3
"""of a probability: a sum in another order may be rounded to another step of 8 bits"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the program against the library of ONNX Runtime's Python package."""
    include = next((each for each in INCLUDES if (each / HEADER).exists()), None)
    compiler = shutil.which("cc")
    if include is None or compiler is None:
        pytest.skip(
            f"no C compiler, or no {HEADER} (Debian 13: apt-get install libonnxruntime-dev)"
        )
    folder = tmp_path_factory.mktemp("program")
    [library] = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(library)
    path = folder / "earshot_edge"
    strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    sanitised = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    linked = [f"-L{folder}", f"-Wl,-rpath,{folder}", "-lonnxruntime", "-lm"]
    subprocess.run(
        [compiler, *strict, *sanitised, f"-I{include}", "-o", path, SOURCE, *linked], check=True
    )
    return path


@pytest.fixture
def run(program: Path, student: Checkpoint) -> Run:
    def run(*recordings: Path, model: Path = student.model) -> subprocess.CompletedProcess[str]:
        # ONNX Runtime itself keeps some memory to the end.
        return subprocess.run(
            [program, model, *recordings],
            capture_output=True,
            text=True,
            check=False,
            env={"ASAN_OPTIONS": "detect_leaks=0"},
        )

    return run


@pytest.mark.parametrize("case", RECORDINGS)
def test_the_program_answers_as_the_file_in_python(
    case: str, student: Checkpoint, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(encode(*RECORDINGS[case], subtype="PCM_16"))
    expected = edge.Classifier(student.model).classify(*edge.read_wav(str(path)))
    found = run(path)
    assert found.returncode == 0, found.stderr
    name, label, *probability = found.stdout.rstrip("\n").split("\t")
    assert name == str(path)
    if expected["label"] is None:
        assert (label, probability) == (f"({expected['reason']})", [])
    else:
        assert label == expected["label"]
        assert float(*probability) == pytest.approx(expected["probability"], abs=TOLERANCE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encode(noise(100), 3_999), "has a sample rate of 3999 Hz; 4000 to 768000 Hz are accepted"),
        (encode(noise(100, 33)), "has 33 channels; at most 32 are accepted"),
        (encode(np.empty((0, 1), np.float32)), "the recording is empty"),
        (encode(noise(100), subtype="PCM_24"), "a WAV of 16 bits is expected"),
        (b"These are notes.", "a WAV of 16 bits is expected"),
        (b"", "a WAV of 16 bits is expected"),
        (encode(noise(100))[:43], "a WAV of 16 bits is expected"),
    ],
    ids=["rate", "channels", "empty", "24 bits", "no sound", "no bytes", "a header that ends"],
)
def test_what_cannot_be_classified_is_refused_in_words(
    content: bytes, words: str, run: Run, tmp_path: Path
) -> None:
    sound, other = tmp_path / "sound.wav", tmp_path / "other.wav"
    sound.write_bytes(encode(noise(RATE), subtype="PCM_16"))
    other.write_bytes(content)
    found = run(other, sound)
    assert (found.returncode, found.stdout.count("\n")) == (1, 1)
    assert found.stderr.startswith(f"{other}: ")
    assert words in found.stderr


def test_a_truncated_recording_is_heard_as_far_as_it_goes(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(encode(noise(2 * RATE), subtype="PCM_16")[:-RATE])
    assert run(path).returncode == 0


def test_a_graph_of_another_kind_is_refused(run: Run, tmp_path: Path) -> None:
    model = FILE.parents[1] / "models_store" / "urban-sound" / "hann" / "model.onnx"
    found = run(tmp_path, model=model)
    assert found.returncode == 2
    assert "not a student of Earshot" in found.stderr
