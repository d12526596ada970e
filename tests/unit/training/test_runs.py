"""The options of a run: saved, read again, and not changed under a run that goes on."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.audio.stft import WINDOWS
from earshot.schemas import Slug
from training.data_source import DataSource
from training.networks import NETWORKS, AudioClassifier, build_network
from training.recipes import DEFAULT_RECIPE, RECIPES, recipe_for, scaled_recipe
from training.runs import (
    CONFIG,
    RunConfig,
    RunError,
    choose_run_folder,
    load_config,
    lock_run_config,
)
from training.tasks import TASKS, require_name

CONFIG_OF_A_RUN = RunConfig(
    task="machine-faults",
    name="hann",
    network="resnet50",
    window="hann",
    source=DataSource(Path("/data"), folder_per_label=True),
    recipe=DEFAULT_RECIPE,
    held_out={"folders": ("monday",)},
    seed=0,
    pretrained=None,
    cache=Path("/cache"),
    store=Path("/store"),
)

folds = st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=3).map(tuple)
paths = st.text("abc /.é", min_size=1, max_size=9).map(lambda text: Path("/") / text.strip("/"))
configs = st.builds(
    RunConfig,
    task=st.sampled_from(["emotion", "machine-faults"]),
    name=st.sampled_from(["hann", "small-2"]),
    network=st.sampled_from(sorted(NETWORKS)),
    window=st.sampled_from(WINDOWS),
    source=st.builds(DataSource, paths, st.booleans()),
    recipe=st.sampled_from([DEFAULT_RECIPE, *RECIPES.values()]),
    held_out=st.none() | st.dictionaries(st.text(min_size=1, max_size=9), folds, max_size=2),
    seed=st.integers(0, 2**31),
    pretrained=st.none() | paths,
    cache=paths,
    store=paths,
)


@given(configs)
def test_the_options_are_read_as_they_were_written(config: RunConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):  # the second time, as a run that goes on
            lock_run_config(Path(folder) / "run", config)
        assert load_config(Path(folder) / "run") == config


@pytest.mark.parametrize(
    "change",
    [
        {"window": "hamming"},
        {"seed": 1},
        {"held_out": {"folders": ("tuesday",)}},
        {"source": DataSource(Path("/data"))},
        {"recipe": replace(DEFAULT_RECIPE, epochs=99)},
        {"pretrained": Path("/weights")},
    ],
)
def test_a_run_goes_on_with_the_same_options_alone(
    change: dict[str, object], tmp_path: Path
) -> None:
    lock_run_config(tmp_path, CONFIG_OF_A_RUN)
    with pytest.raises(RunError, match=f"holds a run with other options .see {CONFIG} there"):
        lock_run_config(tmp_path, CONFIG_OF_A_RUN.model_copy(update=change))
    assert load_config(tmp_path) == CONFIG_OF_A_RUN


def test_where_decoded_audio_and_checkpoints_are_may_change(tmp_path: Path) -> None:
    lock_run_config(tmp_path, CONFIG_OF_A_RUN)
    moved = CONFIG_OF_A_RUN.model_copy(update={"cache": Path("/ssd"), "store": Path("/models")})
    lock_run_config(tmp_path, moved)
    assert load_config(tmp_path) == moved
    assert [path.name for path in tmp_path.iterdir()] == [CONFIG]


def test_damaged_options_are_told(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text('{"task": "emotion"')
    with pytest.raises(RunError, match=re.escape(str(tmp_path / CONFIG))):
        load_config(tmp_path)
    with pytest.raises(RunError, match="other options"):
        lock_run_config(tmp_path, CONFIG_OF_A_RUN)


def test_networks_are_built_by_name() -> None:
    for name in NETWORKS:
        network = build_network(name, 3)
        assert isinstance(network, AudioClassifier)
        assert network.linear.out_features == 3
    with pytest.raises(ValueError, match="unknown network 'lenet'; there are resnet50"):
        build_network("lenet", 3)


def test_every_task_has_a_recipe() -> None:
    assert RECIPES.keys() == TASKS.keys()
    assert recipe_for("emotion") == RECIPES["emotion"]
    assert recipe_for("machine-faults") == DEFAULT_RECIPE


@given(st.text("ab0-A_ ", max_size=8) | st.integers(60, 70).map("a".__mul__))
def test_names_are_those_that_a_store_and_a_card_accept(name: str) -> None:
    try:
        TypeAdapter(Slug).validate_python(name)
    except ValidationError:
        with pytest.raises(ValueError, match="expected lower-case words joined by hyphens"):
            require_name(name)
    else:
        assert require_name(name) == name


def test_a_second_try_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    base = tmp_path / "birds-hann"
    other = CONFIG_OF_A_RUN.model_copy(update={"seed": 1})
    finished: set[str] = set()

    def choose(config: RunConfig) -> str:
        return choose_run_folder(base, config, lambda folder: folder.name in finished).name

    assert choose(CONFIG_OF_A_RUN) == "birds-hann"
    lock_run_config(base, CONFIG_OF_A_RUN)
    # Interrupted, it goes on, wherever the store is now; with other options it is another run.
    assert choose(CONFIG_OF_A_RUN.model_copy(update={"store": Path("/models")})) == "birds-hann"
    assert choose(other) == "birds-hann-2"
    finished.add("birds-hann")
    assert choose(CONFIG_OF_A_RUN) == "birds-hann-2"
    lock_run_config(tmp_path / "birds-hann-2", other)
    assert choose(CONFIG_OF_A_RUN) == "birds-hann-3"
    assert choose(other) == "birds-hann-2"


@pytest.mark.parametrize(
    ("recordings", "batch_size", "epochs"),
    # 300 steps at least: 12 / 8 = 1 step an epoch, 90 / 8 = 11, 600 / 32 = 18, 1200 / 64 = 18.
    [(12, 8, 300), (90, 8, 28), (600, 32, 17), (1200, 64, 17), (6500, 64, 8)],
)
def test_few_recordings_get_small_batches_and_many_epochs(
    recordings: int, batch_size: int, epochs: int
) -> None:
    scaled = scaled_recipe(DEFAULT_RECIPE, recordings)
    assert (scaled.batch_size, scaled.epochs) == (batch_size, epochs)
    assert replace(scaled, batch_size=64, epochs=8) == DEFAULT_RECIPE
