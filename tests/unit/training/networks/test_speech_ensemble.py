import copy

import pytest
import torch
from torch import nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.networks.speech_encoder import SpeechEncoderClassifier
from training.networks.speech_ensemble import SpeechEnsemble, audible_tokens

LAYERS = (2, 3)


@pytest.fixture
def original() -> WhisperEncoder:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        num_mel_bins=20,
        max_source_positions=64,
    )
    return WhisperEncoder(config).eval()


@pytest.fixture
def tuned(original: WhisperEncoder) -> SpeechEncoderClassifier:
    network = SpeechEncoderClassifier(copy.deepcopy(original), 7, first_mixed=1)
    for _, parameters in list(network.depths())[2:]:
        for parameter in parameters:
            nn.init.normal_(parameter, std=0.1)
    return network.eval()


def spectrograms() -> torch.Tensor:
    return torch.rand(2, 1, 20, 101) * 80 - 80


def ensemble(
    tuned: SpeechEncoderClassifier, original: WhisperEncoder, weight: float
) -> SpeechEnsemble:
    return SpeechEnsemble(tuned, original, layers=LAYERS, weight=weight).eval()


def frozen_statistics(original: WhisperEncoder, inputs: torch.Tensor) -> torch.Tensor:
    states = SpeechEncoderClassifier(original, 7).hidden_states(inputs)
    statistics = [s for i in LAYERS for s in (states[i].mean(dim=1), states[i].std(dim=1))]
    return torch.cat(statistics, dim=1)


def test_all_weight_on_the_tuned_network_is_that_network(
    tuned: SpeechEncoderClassifier, original: WhisperEncoder
) -> None:
    inputs = spectrograms()
    outputs = ensemble(tuned, original, 1.0)(inputs)
    torch.testing.assert_close(outputs, tuned(inputs).log_softmax(dim=1))


def test_the_frozen_side_reads_the_original_s_layers(
    tuned: SpeechEncoderClassifier, original: WhisperEncoder
) -> None:
    inputs = spectrograms()
    both = ensemble(tuned, original, 0.0)
    statistics = frozen_statistics(original, inputs)
    torch.testing.assert_close(both.statistics(inputs), statistics, atol=1e-4, rtol=1e-4)
    expected = both.head(statistics).log_softmax(dim=1)
    torch.testing.assert_close(both(inputs), expected, atol=1e-4, rtol=1e-4)


def test_another_output_is_the_frozen_head_s_alone(
    tuned: SpeechEncoderClassifier, original: WhisperEncoder
) -> None:
    inputs = spectrograms()
    both = SpeechEnsemble(tuned, original, layers=LAYERS, other_outputs=1).eval()
    outputs = both(inputs)
    frozen = both.head(frozen_statistics(original, inputs))
    assert outputs.shape == (2, 8)
    torch.testing.assert_close(outputs[:, 7], frozen[:, 7], atol=1e-4, rtol=1e-4)
    expected = (tuned(inputs).log_softmax(dim=1) + frozen[:, :7].log_softmax(dim=1)) / 2
    torch.testing.assert_close(outputs[:, :7], expected, atol=1e-4, rtol=1e-4)


def test_padding_is_left_out() -> None:
    inputs = torch.full((1, 1, 20, 101), -80.0)
    inputs[:, :, 5, :30] = 0
    inputs[:, :, 5, 10:20] = -80  # a pause is part of the recording
    mask = audible_tokens(inputs)
    assert mask.shape == (1, 50, 1)
    assert mask[0, :15].all()
    assert not mask[0, 15:].any()
