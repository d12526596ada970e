"""The files that the image is made from agree with each other and with the code."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import av
import pytest
import yaml
from packaging.dependency_groups import resolve_dependency_groups
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import app
from app.settings import Settings
from tests.support.encoders import encode_av
from tests.support.sounds import RATE, make

UNCOUNTED_BYTES = 4 << 20
"""of each upload"""
RESIDENT_BYTES = 768 << 20
"""of the service with all its checkpoints, and of what it works on"""
ROOT = Path(__file__).parents[3]
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
LOCKS = {"requirements.lock": "serve", "requirements-gpu.lock": "gpu"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def pins(lock: str) -> dict[str, str]:
    """Name and version of each package of a lock file, all of which have hashes."""
    entries = re.sub(r"^#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    found = {}
    for entry in re.split(r"(?<!\\)\n", entries.strip()):
        line = re.fullmatch(r"([\w.-]+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)", entry)
        assert line, f"{lock}: {entry[:80]}"
        found[canonicalize_name(line[1])] = line[2]
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_pins_what_the_project_needs(lock: str) -> None:
    pinned = pins(lock)
    for requirement in map(Requirement, resolve_dependency_groups(GROUPS, LOCKS[lock])):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not in {lock}: make lock"
        assert requirement.specifier.contains(pinned[name]), f"{requirement}: make lock"


def test_the_tests_run_with_what_the_lock_pins() -> None:
    pinned = pins("requirements.lock")
    assert {name: version(name) for name in pinned} == pinned


def test_nothing_reports_to_the_makers_of_openvino() -> None:
    for lock in LOCKS:
        assert "openvino" in pins(lock)
        assert "openvino-telemetry" not in pins(lock)


def test_the_limit_of_memory_covers_those_of_the_service() -> None:
    """Uploads, what of each is not counted, decoders with their files, `/tmp`, and the rest."""
    service, settings = COMPOSE["services"]["earshot"], Settings(decoder_processes=2)
    assert service["mem_limit"] == "${MEMORY:-4g}"
    uploads = settings.upload_memory_bytes + settings.max_requests * UNCOUNTED_BYTES
    decoders = settings.decoder_processes * (
        settings.decoder_memory_bytes + settings.max_upload_bytes
    )
    assert service["tmpfs"][0].startswith("/tmp:size=256m,")
    assert uploads + decoders + (256 << 20) + RESIDENT_BYTES <= 4 << 30


def test_x264_and_x265_are_not_in_the_image(tmp_path: Path) -> None:
    """FFmpeg decodes with empty libraries in their place."""
    if not all(map(shutil.which, ("as", "ld", "nm"))):
        pytest.skip("no binutils")
    installed = Path(av.__file__).parents[1]
    for name in ("av", "av.libs"):
        shutil.copytree(installed / name, tmp_path / name)
    subprocess.run(["sh", ROOT / "deploy" / "without-gpl"], cwd=tmp_path, check=True)
    for name in ("x264", "x265"):
        (library,) = (tmp_path / "av.libs").glob(f"lib{name}-*")
        assert library.stat().st_size < 20_000
    sound = tmp_path / "siren.m4a"
    sound.write_bytes(encode_av(make("siren", 1)[:, None], RATE, "ipod", "aac"))
    code = (
        "import av, sys; from app.decoding.ffmpeg import open_ffmpeg\n"
        "with open_ffmpeg(open(sys.argv[1], 'rb').read()) as source:\n"
        "    print(av.__file__, sum(map(len, source.blocks())))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, sound],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    loaded, samples = process.stdout.split()
    assert Path(loaded).is_relative_to(tmp_path)
    assert int(samples) == pytest.approx(2 * RATE, abs=2048)


def test_both_images_have_the_same_packages_but_torch() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-gpu.lock").items()


def test_the_image_holds_the_service_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (.+)$", SERVICE, re.MULTILINE)
    assert copied == [
        "--from=packages /opt/venv /opt/venv",
        "app app",
        "assets assets",
        "earshot earshot",
        "examples examples",
        "models_store models_store",
    ]
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert allowed == [
        *("app", "assets", "deploy/unneeded.txt", "deploy/without-gpl", "earshot", "examples"),
        *("models_store", "requirements*.lock"),
    ]


def test_the_image_runs_as_a_user_of_its_own() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_the_label_has_the_version() -> None:
    assert re.findall(r"^ARG VERSION=(.+)$", SERVICE, re.MULTILINE) == [app.__version__]


def test_the_service_does_without_what_the_image_leaves_out() -> None:
    pinned = pins("requirements.lock")
    others = [
        module
        for module, packages in packages_distributions().items()
        if not any(canonicalize_name(package) in pinned for package in packages)
        and module not in ("app", "earshot", "tests", "training")
    ]
    process = subprocess.run(
        [sys.executable, "-m", "tests.unit.deploy.service_without", "deploy/unneeded.txt", *others],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    # Packages look whether these are there, and do without.
    assert set(process.stdout.split()) <= {
        *("absl", "charset_normalizer", "openvino.frontend.tensorflow", "PIL._avif")
    }


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_service_is_confined(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] == 256
    assert {"cpus", "mem_limit"} <= service.keys()
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert all("127.0.0.1:" in port for port in service["ports"])
    assert "privileged" not in service


@pytest.mark.parametrize("name", ["earshot", "earshot-gpu"])
def test_our_services_are_watched_and_may_finish(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["healthcheck"]["interval"] == "15s"
    assert service["stop_grace_period"] == "40s"
    assert service["tmpfs"][0].startswith("/tmp:size=")
    assert "user" not in service


def test_only_the_service_runs_by_default() -> None:
    profiles = {name: service.get("profiles") for name, service in COMPOSE["services"].items()}
    assert profiles == {
        "earshot": None,
        "earshot-gpu": ["gpu"],
        "prometheus": ["monitored"],
        "grafana": ["monitored"],
    }


def test_compose_holds_no_password() -> None:
    assert not re.search("password|secret|token", str(COMPOSE), re.IGNORECASE)
