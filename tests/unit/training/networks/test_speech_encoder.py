from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperModel,
)

from training.networks.speech_encoder import (
    AttentiveStatisticsPooling,
    EncoderError,
    SpeechEncoderClassifier,
    keep_layers,
    load_encoder,
)

SAMPLES = 8_000
WAVEFORM_CONFIG = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8, 8, 8),
    "conv_stride": (5, 4, 4),
    "conv_kernel": (10, 4, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def whisper() -> PreTrainedModel:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        num_mel_bins=20,
        max_source_positions=64,
        vocab_size=50,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return WhisperModel(config).eval()


def wav2vec2() -> PreTrainedModel:
    torch.manual_seed(0)
    return Wav2Vec2Model(Wav2Vec2Config(**WAVEFORM_CONFIG)).eval()


def hubert() -> PreTrainedModel:
    torch.manual_seed(0)
    return HubertModel(HubertConfig(**WAVEFORM_CONFIG)).eval()


def wavlm() -> PreTrainedModel:
    torch.manual_seed(0)
    return WavLMModel(WavLMConfig(**WAVEFORM_CONFIG)).eval()


def encoder_of(model: PreTrainedModel) -> PreTrainedModel:
    return getattr(model, "encoder") if isinstance(model, WhisperModel) else model  # noqa: B009


def inputs_of(model: PreTrainedModel, batch: int = 2) -> torch.Tensor:
    rng = np.random.default_rng(1)
    shape = (batch, 1, 20, 101) if isinstance(model, WhisperModel) else (batch, SAMPLES)
    values = rng.standard_normal(shape).astype(np.float32)
    return torch.from_numpy(values * 10 - 40 if isinstance(model, WhisperModel) else values)


@pytest.fixture(params=[whisper, wav2vec2, hubert, wavlm])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return request.param()


def test_an_encoder_is_loaded_from_a_folder(model: PreTrainedModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded = load_encoder(tmp_path)
    expected, state = encoder_of(model).state_dict(), loaded.state_dict()
    assert expected.keys() == state.keys()
    assert all(torch.equal(expected[name], state[name]) for name in expected)


def test_a_folder_without_an_encoder_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"config\.json and model\.safetensors"):
        load_encoder(tmp_path)


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EncoderError, match="kind 'bert'; known kinds: whisper, wav2vec2"):
        load_encoder(tmp_path)


def test_logits_and_gradients(model: PreTrainedModel) -> None:
    network = SpeechEncoderClassifier(encoder_of(model), 7, dropout=0.1)
    logits = network(inputs_of(model))
    assert logits.shape == (2, 7)
    logits.logsumexp(dim=1).sum().backward()
    assert network.linear.weight.grad is not None
    assert network.mix.logits.grad is not None


def test_frozen_layers_stay(model: PreTrainedModel) -> None:
    network = SpeechEncoderClassifier(encoder_of(model), 7)
    network.freeze_below(1)
    depths = dict(network.depths())
    assert not any(p.requires_grad for depth in (0, 1) for p in depths[depth])
    assert all(p.requires_grad for p in depths[2])


def test_rates_fall_towards_the_stem(model: PreTrainedModel) -> None:
    network = SpeechEncoderClassifier(encoder_of(model), 7)
    groups = network.parameter_groups(encoder_lr=1e-4, head_lr=1e-3, layer_decay=0.5)
    rates = [group["lr"] for group in groups]
    assert rates == sorted(rates)  # type: ignore[type-var]
    assert rates[-2:] == [1e-4, 1e-3]


def test_a_new_output_leaves_the_others(model: PreTrainedModel) -> None:
    network = SpeechEncoderClassifier(encoder_of(model), 7).eval()
    inputs = inputs_of(model)
    before = network(inputs)
    network.add_output(torch.ones(network.linear.in_features), 0.5)
    after = network(inputs)
    assert after.shape == (2, 8)
    torch.testing.assert_close(after[:, :7], before)
    torch.testing.assert_close(after[:, 7], network.embed(inputs).sum(dim=1) + 0.5)


def test_layers_are_removed_from_the_end(model: PreTrainedModel) -> None:
    inputs = inputs_of(model)
    whole = SpeechEncoderClassifier(encoder_of(model), 7).eval()
    expected = whole.hidden_states(inputs)[0]
    shorter = SpeechEncoderClassifier(keep_layers(encoder_of(model), 1), 7, first_mixed=1).eval()
    assert shorter.mix.logits.shape == (1,)
    states = shorter.hidden_states(inputs)
    assert len(states) == 2
    torch.testing.assert_close(states[0], expected)
    with pytest.raises(EncoderError, match="cannot keep 3 layers of an encoder of 1"):
        keep_layers(encoder_of(model), 3)


@pytest.mark.parametrize("make", [wav2vec2, hubert, wavlm])
def test_a_loaded_encoder_masks_nothing_of_its_own(
    make: Callable[[], PreTrainedModel], tmp_path: Path
) -> None:
    make().save_pretrained(tmp_path)
    assert load_encoder(tmp_path).config.apply_spec_augment is False


def test_whisper_agrees_with_its_own_forward() -> None:
    model = whisper()
    encoder = encoder_of(model)
    network = SpeechEncoderClassifier(encoder, 7).eval()
    db = torch.randn(1, 1, 20, 129) * 10 - 40
    last = network.hidden_states(db)[-1]
    expected = encoder(db[:, 0, :, :-1] / 40 + 1).last_hidden_state
    torch.testing.assert_close(encoder.layer_norm(last), expected)  # type: ignore[operator]


def test_equal_weights_pool_to_mean_and_deviation() -> None:
    pooling = AttentiveStatisticsPooling(8, heads=2)
    for parameter in pooling.parameters():
        torch.nn.init.zeros_(parameter)
    hidden = torch.randn(3, 50, 8)
    statistics = pooling(hidden)
    torch.testing.assert_close(statistics[:, :8], hidden.mean(dim=1))
    torch.testing.assert_close(statistics[:, 8:], hidden.std(dim=1, correction=0))
