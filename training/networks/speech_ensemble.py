"""A fine-tuned Whisper encoder, averaged with a linear head on the layers that it started from.

Fine-tuning gains on voices like those of its training and loses on others; frozen features do the
opposite, so the two are averaged (in outputs rather than weights: Wortsman et al., "Robust
fine-tuning of zero-shot models", CVPR 2022). The stem and the first layer are shared.
"""

import copy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.networks.speech_encoder import EncoderError, SpeechEncoderClassifier, whisper_stem

_MIN_VARIANCE = 1e-8
_AUDIBLE_DB = 1e-3
"""above the clip's lowest level, at which padding lies in all bands"""


class SpeechEnsemble(nn.Module):
    """A fine-tuned and a frozen network, whose log-probabilities are averaged.

    Input as `SpeechEncoderClassifier` for Whisper; output `[batch, labels]`.
    """

    def __init__(
        self,
        tuned: SpeechEncoderClassifier,
        original: PreTrainedModel,
        head: nn.Linear,
        *,
        layers: tuple[int, ...],
        temperatures: tuple[float, float],
        weight: float = 0.5,
    ) -> None:
        """Put a fine-tuned network beside the encoder that it started from.

        Args:
            tuned: fine-tuned with `frozen_layers` of at least 1: the first layer is shared.
            original: the encoder before fine-tuning.
            head: reads mean and standard deviation over time of each of `layers`, side by side.
            layers: of the original, by number from 2, rising.
            temperatures: of the fine-tuned and of the frozen logits.
            weight: of the fine-tuned network.

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
        self.head = head
        self.layers = layers
        self.temperatures = temperatures
        self.weight = weight

    def forward(self, db: Tensor) -> Tensor:
        """Return the averaged log-probabilities `[batch, labels]`."""
        encoder = self.tuned.encoder
        assert isinstance(encoder, WhisperEncoder)
        shared = encoder.layers[0](whisper_stem(encoder, db), None)
        states = [shared]
        for layer in list(encoder.layers)[1:]:
            states.append(layer(states[-1], None))
        tuned = self.tuned.classify(states)
        frozen = self.head(self._statistics(shared, audible_tokens(db)))
        by_tuned, by_frozen = self.temperatures
        first = (tuned / by_tuned).log_softmax(dim=1)
        second = (frozen / by_frozen).log_softmax(dim=1)
        averaged: Tensor = self.weight * first + (1 - self.weight) * second
        return averaged

    def _statistics(self, hidden: Tensor, mask: Tensor) -> Tensor:
        count = mask.sum(dim=1).clamp_min(2)
        statistics = []
        for number, layer in enumerate(self.frozen, start=2):
            hidden = layer(hidden, None)
            if number in self.layers:
                mean = (hidden * mask).sum(dim=1) / count
                spread = ((hidden - mean[:, None]) * mask).square().sum(dim=1) / (count - 1)
                statistics += [mean, spread.clamp_min(_MIN_VARIANCE).sqrt()]
        return torch.cat(statistics, dim=1)


def audible_tokens(db: Tensor) -> Tensor:
    """Return 1 for each token up to the last that is louder than padding, `[batch, tokens, 1]`."""
    lowest = db.amin(dim=(1, 2, 3))[:, None, None]
    loudest = db[:, :, :, :-1].amax(dim=2)
    audible = (loudest > lowest + _AUDIBLE_DB).float()
    tokens = torch.maximum(audible[:, :, 0::2], audible[:, :, 1::2]).transpose(1, 2)
    return tokens.flip(1).cumsum(dim=1).clamp(max=1).flip(1)
