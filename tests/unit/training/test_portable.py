"""A checkpoint for other runtimes: the same outputs, and all that one needs beside the graph."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors import safe_open

from app.audio.network_inputs import input_shape
from app.checkpoints import store
from app.checkpoints.card import Card
from app.inference.engine import openvino_core
from earshot.cli import main
from tests.unit.training.test_pretrained import finished_run
from training.portable import export_portable
from training.runs import RunError

SHIPPED = Path(__file__).parents[3] / "models_store" / "urban-sound" / "hann"


@pytest.fixture(scope="module")
def card() -> Card:
    return store.load_folder(SHIPPED).card


def clips(card: Card) -> np.ndarray:
    shape = (3, *input_shape(card.input))
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_onnx_has_labels_front_end_and_card(card: Card, tmp_path: Path) -> None:
    [path] = export_portable(SHIPPED, "onnx", tmp_path / "out")
    assert path == tmp_path / "out" / "model.onnx"
    session = onnxruntime.InferenceSession(path)
    facts = session.get_modelmeta().custom_metadata_map
    assert tuple(facts["labels"].split("\n")) == card.labels
    assert float(facts["temperature"]) == card.temperature
    assert json.loads(facts["input"])["n_mels"] == 64
    inside = Card.model_validate(json.loads(facts["card"]) | {"files": card.files})
    assert inside == card
    before = onnxruntime.InferenceSession(SHIPPED / "model.onnx")
    feed = {session.get_inputs()[0].name: clips(card)}
    np.testing.assert_array_equal(session.run(None, feed)[0], before.run(None, feed)[0])


def test_openvino_has_the_same_in_xml_and_bin(card: Card, tmp_path: Path) -> None:
    xml, weights = export_portable(SHIPPED, "openvino", tmp_path)
    assert (xml.name, weights.name) == ("model.xml", "model.bin")
    model = openvino_core().read_model(xml)
    labels = model.get_rt_info(["model_info", "labels"]).astype(str)
    assert tuple(labels.split("\n")) == card.labels
    front_end = json.loads(model.get_rt_info(["model_info", "input"]).astype(str))
    assert front_end["window"] == "hann"
    compiled = openvino_core().compile_model(model, "CPU")
    served = openvino_core().compile_model(SHIPPED / "model.onnx", "CPU")
    inputs = clips(card)
    np.testing.assert_allclose(compiled(inputs)[0], served(inputs)[0], atol=1e-4)


def test_a_runs_own_checkpoint_is_taken_and_its_weights(
    card: Card, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = finished_run(tmp_path / "run")
    # The store that the run names has the checkpoint that it exported.
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["store"] = str(tmp_path / "store")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    changes = {"task": "birds", "name": "hann", "labels": ("owl", "wren"), "ood": None}
    exported = Card.model_validate(
        card.model_dump() | changes | {"training": record["training"], "network": "vgg"}
    )
    store.save(tmp_path / "store", exported, {"model.onnx": SHIPPED / "model.onnx"})
    main(["export", str(tmp_path / "run"), "--format", "safetensors"])
    assert not caplog.records or "quantised anew" not in caplog.text
    with safe_open(tmp_path / "run" / "export" / "model.safetensors", "np") as file:
        facts = file.metadata()
        weight = file.get_tensor("head.1.weight")
    assert facts["labels"] == "owl\nwren"
    assert facts["network"] == "vgg"
    assert json.loads(facts["input"])["window"] == "hann"
    np.testing.assert_array_equal(weight, own.linear.weight.detach().numpy())


def test_what_has_no_such_form_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match=r"graph is quantised; its weights .* folder of its run"):
        export_portable(SHIPPED, "safetensors", tmp_path)
    with pytest.raises(RunError, match=r"no config\.json"):
        export_portable(tmp_path, "onnx", tmp_path / "out")
    with pytest.raises(SystemExit):
        main(["export", "RUN", "--format", "tflite"])
    assert "invalid choice: 'tflite' (choose from" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="--out is for --format"):
        main(["export", str(tmp_path), "--out", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["export", "RUN", "--format", "onnx", "--edge"])


def test_a_damaged_checkpoint_is_not_exported(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "urban-sound" / "hann")
    (tmp_path / "urban-sound" / "hann" / "model.onnx").write_bytes(b"x")
    with pytest.raises(store.CheckpointError, match="does not have the SHA-256 of its card"):
        export_portable(tmp_path / "urban-sound" / "hann", "onnx", tmp_path / "out")
