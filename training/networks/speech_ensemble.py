"""A fine-tuned Whisper encoder, averaged with a small network on the layers that it started from.

Fine-tuning gains on voices like those of its training and loses on others; frozen features do the
opposite, so the two are averaged (in outputs rather than weights: Wortsman et al., "Robust
fine-tuning of zero-shot models", CVPR 2022). The stem and the first layer are shared.
"""

import copy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.networks.classifier import HeadedNetwork
from training.networks.speech_encoder import EncoderError, SpeechEncoderClassifier, whisper_stem

_MIN_VARIANCE = 1e-8
_AUDIBLE_DB = 1e-3
"""above the clip's lowest level, at which padding lies in all bands"""
_HIDDEN = 512
"""features between the two layers of a frozen head"""


class FrozenHead(HeadedNetwork):
    """Two linear layers on the statistics of frozen layers.

    Input `[batch, features]`, output `[batch, outputs]`.
    """

    def __init__(self, features: int, outputs: int, *, dropout: float = 0.0) -> None:
        """Make an untrained head.

        Args:
            features: statistics that it reads.
            outputs: logits of the labels, and of what else there is.
            dropout: before the last layer, while training.
        """
        super().__init__()
        self.projection = nn.Sequential(
            nn.Linear(features, _HIDDEN), nn.LayerNorm(_HIDDEN), nn.GELU()
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(_HIDDEN, outputs))

    def forward(self, statistics: Tensor) -> Tensor:
        """Return the logits."""
        outputs: Tensor = self.head(self.embed(statistics))
        return outputs

    def embed(self, inputs: Tensor) -> Tensor:
        """Return the hidden layer."""
        hidden: Tensor = self.projection(inputs)
        return hidden


class SpeechEnsemble(nn.Module):
    """A fine-tuned and a frozen network, whose log-probabilities are averaged.

    Input as `SpeechEncoderClassifier` for Whisper; output `[batch, outputs]`: the averaged
    log-probabilities of the labels, then the other outputs of the frozen head. That head is
    fitted on the graph that is served: see `training.fine_tuning.refit`.
    """

    def __init__(
        self,
        tuned: SpeechEncoderClassifier,
        original: PreTrainedModel,
        *,
        layers: tuple[int, ...],
        weight: float = 0.5,
        other_outputs: int = 0,
    ) -> None:
        """Put a fine-tuned network beside the encoder that it started from; `head` is untrained.

        Args:
            tuned: fine-tuned with `frozen_layers` of at least 1: the first layer is shared.
            original: the encoder before fine-tuning.
            layers: of the original, by number from 1, rising, whose statistics the head reads.
            weight: of the fine-tuned network.
            other_outputs: of the head, beside the labels.

        Raises:
            EncoderError: an encoder is not Whisper's.
        """
        super().__init__()
        if not isinstance(tuned.encoder, WhisperEncoder) or not isinstance(
            original, WhisperEncoder
        ):
            raise EncoderError("an ensemble is made of Whisper's encoder")
        self.tuned = tuned
        self.frozen = nn.ModuleList(
            copy.deepcopy(layer) for layer in list(original.layers)[1 : layers[-1]]
        )
        self.layers = layers
        self.weight = weight
        features = 2 * original.config.hidden_size * len(layers)
        self.head = FrozenHead(features, tuned.linear.out_features + other_outputs)

    def forward(self, db: Tensor) -> Tensor:
        """Return the averaged log-probabilities, and the head's other outputs."""
        shared = self._first_layer(db)
        states = [shared]
        for layer in list(self._encoder.layers)[1:]:
            states.append(layer(states[-1], None))
        tuned = self.tuned.classify(states)
        logits = self.head(self._statistics(shared, audible_tokens(db)))
        frozen, others = logits.tensor_split([tuned.shape[1]], dim=1)
        averaged = self.weight * tuned.log_softmax(dim=1)
        averaged = averaged + (1 - self.weight) * frozen.log_softmax(dim=1)
        return torch.cat([averaged, others], dim=1)

    def statistics(self, db: Tensor) -> Tensor:
        """Return what the head reads: mean and standard deviation over time of each layer."""
        return self._statistics(self._first_layer(db), audible_tokens(db))

    @property
    def _encoder(self) -> WhisperEncoder:
        encoder = self.tuned.encoder
        assert isinstance(encoder, WhisperEncoder)
        return encoder

    def _first_layer(self, db: Tensor) -> Tensor:
        shared: Tensor = self._encoder.layers[0](whisper_stem(self._encoder, db), None)
        return shared

    def _statistics(self, hidden: Tensor, mask: Tensor) -> Tensor:
        states = [hidden]
        for layer in self.frozen:
            states.append(layer(states[-1], None))
        count = mask.sum(dim=1).clamp_min(2)
        statistics = []
        for number in self.layers:
            state = states[number - 1].float()
            mean = (state * mask).sum(dim=1) / count
            spread = ((state - mean[:, None]) * mask).square().sum(dim=1) / (count - 1)
            statistics += [mean, spread.clamp_min(_MIN_VARIANCE).sqrt()]
        return torch.cat(statistics, dim=1)


def audible_tokens(db: Tensor) -> Tensor:
    """Return 1 for each token up to the last that is louder than padding, `[batch, tokens, 1]`."""
    lowest = db.amin(dim=(1, 2, 3))[:, None, None]
    loudest = db[:, :, :, :-1].amax(dim=2)
    audible = (loudest > lowest + _AUDIBLE_DB).float()
    tokens = torch.maximum(audible[:, :, 0::2], audible[:, :, 1::2]).transpose(1, 2)
    return tokens.flip(1).cumsum(dim=1).clamp(max=1).flip(1)
