from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import WavLMConfig, WavLMModel, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from app.audio.network_inputs import WaveformConfig
from training.corpora import LabeledRecording
from training.fine_tuning.batches import BatchRecipe, SpeechBatches
from training.fine_tuning.fit import (
    AVERAGED,
    FitError,
    FitRecipe,
    adjusted_loss,
    average_networks,
    fit,
    load_averaged,
    lr_fraction,
)
from training.fine_tuning.spectrograms import whisper_log_mel
from training.networks.speech_encoder import EncoderError, SpeechEncoderClassifier, keep_layers

RECIPE = FitRecipe(steps=4, save_every=2, head_lr=1e-2)
TARGETS = np.array([0, 1] * 6)
OFFSETS = np.zeros((12, 2), np.float32)


def encoder() -> WhisperEncoder:
    config = WhisperConfig(
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32
    )
    return WhisperEncoder(config)


def network() -> SpeechEncoderClassifier:
    torch.manual_seed(0)
    return SpeechEncoderClassifier(encoder(), 2)


def wavlm() -> SpeechEncoderClassifier:
    torch.manual_seed(0)
    config = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8, 8),
        conv_stride=(5, 4, 4),
        conv_kernel=(10, 4, 4),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        apply_spec_augment=False,
        layerdrop=0.0,
    )
    return SpeechEncoderClassifier(WavLMModel(config), 2)


def batches(*, waveforms: bool = False) -> SpeechBatches:
    rng = np.random.default_rng(0)
    recordings = [
        LabeledRecording(
            path=Path("x"), label=("sad", "happy")[i % 2], corpus="a", group=f"{i}", fold=f"{i}"
        )
        for i in range(12)
    ]
    samples = [rng.integers(-9_000, 9_000, 8_000).astype(np.int16) for _ in recordings]
    log_mel = whisper_log_mel(0.5)
    config = WaveformConfig.of_clips(log_mel) if waveforms else log_mel
    return SpeechBatches(recordings, samples, config, BatchRecipe(4), {}, seed=0)


def run(folder: Path, recipe: FitRecipe = RECIPE) -> SpeechEncoderClassifier:
    return fit(network(), batches(), TARGETS, OFFSETS, recipe, folder)


def test_weights_move_and_frozen_ones_do_not(tmp_path: Path) -> None:
    before, after = network().state_dict(), run(tmp_path).state_dict()
    assert not torch.equal(before["head.1.weight"], after["head.1.weight"])
    last, first = "encoder.layers.1.fc1.weight", "encoder.layers.0.fc1.weight"
    assert not torch.equal(before[last], after[last])
    assert torch.equal(before[first], after[first])
    assert torch.equal(before["encoder.conv1.weight"], after["encoder.conv1.weight"])


def test_an_encoder_of_waveforms_is_fine_tuned(tmp_path: Path) -> None:
    before = wavlm().state_dict()
    averaged = fit(wavlm(), batches(waveforms=True), TARGETS, OFFSETS, RECIPE, tmp_path)
    after = averaged.state_dict()
    layer = "encoder.encoder.layers.{}.feed_forward.output_dense.weight"
    assert not torch.equal(before[layer.format(1)], after[layer.format(1)])
    assert torch.equal(before[layer.format(0)], after[layer.format(0)])
    stem = [name for name in before if "feature_extractor" in name]
    assert stem
    assert all(torch.equal(before[name], after[name]) for name in stem)


class _StoppedError(Exception):
    pass


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    def stop(step: int, _network: torch.nn.Module) -> None:
        if step == 2:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        fit(network(), batches(), TARGETS, OFFSETS, RECIPE, tmp_path / "cut", on_save=stop)
    expected = run(tmp_path / "whole").state_dict()
    resumed = run(tmp_path / "cut").state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-4, rtol=1e-3)


def test_another_recipe_does_not_go_on(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(FitError, match="another recipe"):
        run(tmp_path, FitRecipe(steps=6))


def test_averaged_weights_are_read_back(tmp_path: Path) -> None:
    averaged = run(tmp_path)
    other = network()
    load_averaged(other, tmp_path / AVERAGED)
    torch.testing.assert_close(other.state_dict(), averaged.state_dict())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(FitError, match=r"x\.safetensors: not the weights"):
        load_averaged(network(), tmp_path / "x.safetensors")


def test_a_soup_is_the_mean() -> None:
    soup = average_networks([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 6.0])}])
    torch.testing.assert_close(soup["w"], torch.tensor([2.0, 4.0]))


def test_the_learning_rate_rises_then_falls() -> None:
    recipe = FitRecipe(steps=100, warmup_fraction=0.1, final_lr_fraction=0.01)
    fractions = [lr_fraction(step, recipe) for step in range(101)]
    assert fractions[0] == 0
    assert fractions[10] == pytest.approx(1)
    assert fractions[10:] == sorted(fractions[10:], reverse=True)
    assert fractions[100] == pytest.approx(0.01)


def test_without_offsets_the_loss_is_cross_entropy() -> None:
    logits, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    loss = adjusted_loss(logits, targets, torch.zeros(5, 3), 0.2)
    expected = functional.cross_entropy(logits, targets, label_smoothing=0.2)
    torch.testing.assert_close(loss, expected)


def test_an_absent_label_costs_less() -> None:
    logits, targets = torch.tensor([[1.0, 1.0]]), torch.tensor([0])
    offset = torch.tensor([[0.0, -2.0]])
    without = adjusted_loss(logits, targets, torch.zeros(1, 2), 0)
    assert adjusted_loss(logits, targets, offset, 0) < without


def test_layers_are_removed_from_the_end() -> None:
    shorter = keep_layers(encoder(), 1)
    assert len(shorter.layers) == 1  # type: ignore[arg-type]
    assert SpeechEncoderClassifier(shorter, 7).mix.logits.shape == (2,)
    with pytest.raises(EncoderError, match="cannot keep 3 layers of an encoder of 1"):
        keep_layers(shorter, 3)
