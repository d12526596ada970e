from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from transformers import PreTrainedModel

from tests.unit.training.networks.test_speech_encoder import (
    encoder_of,
    hubert,
    inputs_of,
    wav2vec2,
    wavlm,
    whisper,
)
from training.fine_tuning.export import quantise, write_graph
from training.networks.speech_encoder import SpeechEncoderClassifier


@pytest.fixture(params=[whisper, wav2vec2, hubert, wavlm])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return request.param()


def test_the_graph_answers_as_the_network(model: PreTrainedModel, tmp_path: Path) -> None:
    network = SpeechEncoderClassifier(encoder_of(model), 7).eval()
    write_graph(network, inputs_of(model)[:1], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    [graph_input] = session.get_inputs()
    assert graph_input.name == ("waveform" if network.reads_waveform else "spectrogram")
    inputs = inputs_of(model, batch=3)
    (logits,) = session.run(None, {graph_input.name: inputs.numpy()})
    np.testing.assert_allclose(logits, network(inputs).detach().numpy(), atol=1e-4)


def test_the_network_keeps_its_positions(tmp_path: Path) -> None:
    network = SpeechEncoderClassifier(encoder_of(whisper()), 7).eval()
    write_graph(network, inputs_of(whisper())[:1], tmp_path / "model.onnx")
    assert network.encoder.get_parameter("embed_positions.weight").shape == (64, 16)


@pytest.mark.parametrize("make", [whisper, wavlm])
def test_the_quantised_graph_is_near(make: type[PreTrainedModel], tmp_path: Path) -> None:
    model = make()
    network = SpeechEncoderClassifier(encoder_of(model), 7).eval()
    inputs = inputs_of(model, batch=4)
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    write_graph(network, inputs[:1], fp32)
    quantise(fp32, int8, [row[None].numpy() for row in inputs])
    session = onnxruntime.InferenceSession(int8)
    name = session.get_inputs()[0].name
    (logits,) = session.run(None, {name: inputs.numpy()})
    expected = network(inputs).detach().numpy()
    assert not np.array_equal(logits, expected)
    np.testing.assert_allclose(logits, expected, atol=0.1 * np.abs(expected).max())
