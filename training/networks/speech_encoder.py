"""A pretrained speech encoder with a classifier on its layers.

Encoders are those of `transformers`: Whisper (Radford et al., ICML 2023), wav2vec 2.0 (Baevski
et al., NeurIPS 2020), HuBERT (Hsu et al., TASLP 2021) and WavLM (Chen et al., JSTSP 2022). Emotion
is clearest in their middle layers, so the layers are averaged with learned weights
(as in SUPERB: Yang et al., Interspeech 2021) and pooled over time by attentive statistics
(Okabe, Koshinaka and Shinoda, Interspeech 2018).
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    HubertModel,
    PretrainedConfig,
    PreTrainedModel,
    Wav2Vec2Model,
    WavLMModel,
    WhisperModel,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.networks.classifier import HeadedNetwork

WAVEFORM_ENCODERS: dict[str, type[PreTrainedModel]] = {
    "wav2vec2": Wav2Vec2Model,
    "hubert": HubertModel,
    "wavlm": WavLMModel,
}
"""`model_type` of the configuration -> the class that reads waveforms"""

_MIN_VARIANCE = 1e-5


class EncoderError(ValueError):
    """A speech encoder cannot be loaded; the message says what to do."""


def load_encoder(name: str | Path) -> PreTrainedModel:
    """Load the encoder in a folder, or of a name on the hub.

    Raises EncoderError when it cannot be loaded, or is of no known kind.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(name)
        kind = config.model_type
        if kind == "whisper":
            model = WhisperModel.from_pretrained(name, dtype=torch.float32)
            encoder: PreTrainedModel = model.encoder
            return encoder
        if kind in WAVEFORM_ENCODERS:
            # Their own SpecAugment draws from NumPy's global state, which a run cannot go on with.
            loaded: PreTrainedModel = WAVEFORM_ENCODERS[kind].from_pretrained(
                name, dtype=torch.float32, apply_spec_augment=False
            )
            return loaded
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"cannot load the speech encoder {str(name)!r}: give a folder with config.json and "
            "model.safetensors, or a name on a hub that can be reached"
        ) from error
    known = ", ".join(("whisper", *WAVEFORM_ENCODERS))
    raise EncoderError(f"{name}: an encoder of kind {kind!r}; known kinds: {known}")


class AttentiveStatisticsPooling(nn.Module):
    """Mean and standard deviation over time, weighted by learned attention (Okabe et al., 2018).

    Input `[batch, tokens, features]`; output `[batch, 2 * features]`.
    """

    def __init__(self, features: int, *, hidden: int = 128, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.attention = nn.Sequential(
            nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, heads)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """Return `[batch, 2 * features]`; each head attends for an equal part of the features."""
        batch, tokens, features = hidden.shape
        weights = self.attention(hidden).float().softmax(dim=1).unsqueeze(-1)
        parts = hidden.float().reshape(batch, tokens, self.heads, features // self.heads)
        mean = (weights * parts).sum(dim=1)
        variance = (weights * parts.square()).sum(dim=1) - mean.square()
        deviation = variance.clamp_min(_MIN_VARIANCE).sqrt()
        return torch.cat([mean.flatten(1), deviation.flatten(1)], dim=1)


class LayerMix(nn.Module):
    """The average of normalised layers with learned weights."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(layers))

    def forward(self, layers: list[Tensor]) -> Tensor:
        """Return the average `[batch, tokens, features]` of layers of that shape."""
        weights = self.logits.softmax(dim=0)
        mixed = weights[0] * functional.layer_norm(layers[0], layers[0].shape[-1:])
        for weight, layer in zip(weights[1:], layers[1:], strict=True):
            mixed = mixed + weight * functional.layer_norm(layer, layer.shape[-1:])
        return mixed


class SpeechEncoderClassifier(HeadedNetwork):
    """A speech encoder, a layer mix, attentive statistics pooling, dropout and a linear head.

    Input of Whisper: log-mel spectrograms in dB, `[batch, 1, mels, frames]`, kept within 80 dB of
    the maximum, at least 4 frames. Input of the others: waveforms at 16 kHz, `[batch, samples]`.
    Output: logits `[batch, outputs]`.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        outputs: int,
        *,
        dropout: float = 0.0,
        first_mixed: int = 0,
    ) -> None:
        """Put a new head on a pretrained encoder.

        Args:
            encoder: of `transformers`; see `load_encoder`.
            outputs: logits of the head.
            dropout: before the head, while training.
            first_mixed: first hidden state of the mix, 0 being the first layer's input.

        Raises:
            EncoderError: the encoder is of no known kind.
        """
        super().__init__()
        config = encoder.config
        self.reads_waveform = not isinstance(encoder, WhisperEncoder)
        if self.reads_waveform and config.model_type not in WAVEFORM_ENCODERS:
            raise EncoderError(f"no known speech encoder: {type(encoder).__name__}")
        self.encoder = encoder
        self.first_mixed = first_mixed
        features: int = config.hidden_size
        self.mix = LayerMix(config.num_hidden_layers + 1 - first_mixed)
        self.pooling = AttentiveStatisticsPooling(features)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * features, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits `[batch, outputs]`."""
        logits: Tensor = self.head(self.embed(inputs))
        return logits

    def embed(self, inputs: Tensor) -> Tensor:
        """Return the pooled statistics that the head reads, `[batch, 2 * hidden size]`."""
        return self._pool(self.hidden_states(inputs)[self.first_mixed :])

    def classify(self, states: list[Tensor]) -> Tensor:
        """Return the logits `[batch, outputs]` of the hidden states that are mixed.

        Args:
            states: from `first_mixed` on, each `[batch, tokens, features]`.
        """
        logits: Tensor = self.head(self._pool(states))
        return logits

    def _pool(self, states: list[Tensor]) -> Tensor:
        statistics: Tensor = self.pooling(self.mix(states))
        return statistics

    def hidden_states(self, inputs: Tensor) -> list[Tensor]:
        """Return the first layer's input and each layer's output, `[batch, tokens, features]`."""
        if isinstance(self.encoder, WhisperEncoder):
            return _whisper_states(self.encoder, inputs)
        states: tuple[Tensor, ...] = self.encoder(
            _standardise(inputs), output_hidden_states=True
        ).hidden_states
        return list(states)

    def freeze_below(self, layer: int) -> None:
        """Freeze the stem and the encoder's first `layer` layers."""
        for depth, parameters in self.depths():
            if depth <= layer:
                for parameter in parameters:
                    parameter.requires_grad = False

    def depths(self) -> Iterator[tuple[int, list[nn.Parameter]]]:
        """Yield the encoder's parameters by depth: 0 is the stem, 1 the first layer, and so on."""
        layers = _layers(self.encoder)
        inside = {id(p) for layer in layers for p in layer.parameters()}
        yield 0, [p for p in self.encoder.parameters() if id(p) not in inside]
        for index, layer in enumerate(layers):
            yield index + 1, list(layer.parameters())

    def parameter_groups(
        self, *, encoder_lr: float, head_lr: float, layer_decay: float
    ) -> list[dict[str, object]]:
        """Return an optimiser's parameter groups, with a learning rate for each layer.

        Args:
            encoder_lr: learning rate of the last layer.
            head_lr: of mix, pooling and head.
            layer_decay: factor from each layer to the one before (ULMFiT: Howard and Ruder,
                ACL 2018).
        """
        depths = list(self.depths())
        top = len(depths) - 1
        groups: list[dict[str, object]] = []
        for depth, parameters in depths:
            trained = [p for p in parameters if p.requires_grad]
            if trained:
                lr = encoder_lr * layer_decay ** (top - depth)
                groups.append({"params": trained, "lr": lr})
        new = [*self.mix.parameters(), *self.pooling.parameters(), *self.head.parameters()]
        groups.append({"params": new, "lr": head_lr})
        return groups


def _layers(encoder: PreTrainedModel) -> nn.ModuleList:
    name = "layers" if isinstance(encoder, WhisperEncoder) else "encoder.layers"
    layers = encoder.get_submodule(name)
    assert isinstance(layers, nn.ModuleList)
    return layers


def whisper_stem(encoder: WhisperEncoder, db: Tensor) -> Tensor:
    """Return the input of Whisper's first layer, `[batch, tokens, features]`.

    Args:
        encoder: Whisper's.
        db: log-mel spectrograms, `[batch, 1, mels, frames]`; two frames make a token.
    """
    # Whisper's own scale is (log10(power) + 4) / 4, and it leaves out the last centred frame.
    spectrogram = db[:, 0, :, :-1] / 40 + 1
    hidden = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(spectrogram))))
    hidden = hidden.transpose(1, 2)
    placed: Tensor = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    return placed


def _whisper_states(encoder: WhisperEncoder, db: Tensor) -> list[Tensor]:
    hidden = whisper_stem(encoder, db)
    states = [hidden]
    for layer in encoder.layers:
        hidden = layer(hidden, None)
        states.append(hidden)
    return states


def _standardise(waveform: Tensor) -> Tensor:
    """Bring each waveform to mean 0 and variance 1, as in these encoders' pretraining."""
    centred = waveform - waveform.mean(dim=-1, keepdim=True)
    power = centred.square().mean(dim=-1, keepdim=True)
    return centred * (power + 1e-7).rsqrt()


def keep_layers(encoder: PreTrainedModel, count: int) -> PreTrainedModel:
    """Remove all layers behind the first `count`, in place.

    The last layers of an encoder represent words rather than the voice.

    Raises EncoderError when it has fewer.
    """
    layers = _layers(encoder)
    if not 1 <= count <= len(layers):
        raise EncoderError(f"cannot keep {count} layers of an encoder of {len(layers)}")
    del layers[count:]
    encoder.config.num_hidden_layers = count
    if isinstance(encoder, WhisperEncoder):
        encoder.config.encoder_layers = count
    return encoder
