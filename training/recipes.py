"""Hyperparameters: a recipe for each task that ships, one for all others, two for pretraining."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The command line makes its flags of a Recipe, and shall not wait for NumPy.
    from app.audio.log_mel import LogMelConfig
    from app.audio.stft import WindowName

_LEAST_STEPS = 300
"""of a training: fewer hardly move a network, however small the data is"""
_LEAST_STEPS_PER_EPOCH = 16
_SMALLEST_BATCH = 8
"""batch normalisation needs some clips"""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run beside the data, the window and the seed."""

    clip_seconds: float
    """length of the clips that are classified"""
    crop_seconds: float
    """length of the clips that are trained on; shorter ones show more sounds in the same time"""
    epochs: int
    batch_size: int = 64
    balance_labels: bool = True
    """whether all labels are drawn equally often"""
    distillation_weight: float = 0.0
    """of the teacher's prediction in the target of a labelled recording, 0 to 1; see
    `training.teachers.soft_labels`"""
    unlabelled_fraction: float = 0.0
    """of the samples that are drawn from recordings without labels, whose target is the teacher's
    prediction alone"""
    max_learning_rate: float = 1e-3
    """peak of OneCycleLR"""
    backbone_lr_scale: float = 0.2
    """learning rate of a pretrained backbone, relative to the head's: a few thousand recordings
    are soon known by heart, and what was learned from more is lost"""
    weight_decay: float = 0.02
    dropout: float = 0.2
    label_smoothing: float = 0.1
    mixup_alpha: float = 0.4
    """of the Beta distribution that draws the mixing weight"""
    mixup_probability: float = 0.5
    speed_range: float = 0.1
    """playback speed is drawn from 1 -+ this; pitch, formants and tempo move with it"""
    stretch_range: float = 0.0
    """tempo is drawn from 1 -+ this, and nothing else moves with it"""
    vtlp_range: float = 0.0
    """frequencies are drawn from 1 -+ this, as if the vocal tract were longer or shorter"""
    reverb_probability: float = 0.0
    reverb_seconds: tuple[float, float] = (0.1, 0.6)
    """until a sound has decayed by 60 dB"""
    noise_probability: float = 0.3
    noise_snr_db: tuple[float, float] = (8.0, 35.0)
    corruption_probability: float = 0.0
    """of one of `training.corruptions.severities.TRAINING_EFFECTS`, after mixing"""
    random_eq_db: float = 6.0
    """largest gain or loss of a smooth random filter over the mel bands"""
    frequency_mask: int = 10
    """widest mask in mel bands; two are drawn"""
    time_mask: int = 24
    """widest mask in frames; two are drawn"""
    ema_decay: float = 0.998
    """per step, of the averaged weights that are evaluated and exported"""
    views: int = 0
    """of each recording, computed once and drawn from in all epochs; see `training.edge.views`.
    0: every sample is computed anew"""
    embedding_weight: float = 0.0
    """of the squared error against the teacher's embedding, beside the cross entropy; for views
    only"""
    teacher_temperature: float = 1.0
    """the teacher's probabilities are taken to the power of 1 / this, and scaled to add up to 1;
    for views only"""


RECIPES: Mapping[str, Recipe] = {
    "urban-sound": Recipe(
        clip_seconds=4.0,
        crop_seconds=4.0,
        epochs=8,
        distillation_weight=0.5,
        unlabelled_fraction=0.3,
        max_learning_rate=1.5e-3,
        ema_decay=0.99,
    ),
    # A few dozen speakers, each with a room and a microphone of their own: what tells those
    # apart must not tell emotions apart.
    "emotion": Recipe(
        clip_seconds=3.0,
        crop_seconds=3.0,
        epochs=6,
        backbone_lr_scale=0.4,
        speed_range=0.15,
        stretch_range=0.1,
        vtlp_range=0.1,
        reverb_probability=0.2,
        random_eq_db=8.0,
        ema_decay=0.99,
    ),
}

DEFAULT_RECIPE = replace(RECIPES["urban-sound"], unlabelled_fraction=0.0)
"""of a task that Earshot does not ship: sounds of any kind, all of them labelled"""

EMBEDDING_DISTILLATION = Recipe(
    clip_seconds=4.0,
    crop_seconds=2.0,
    epochs=58,
    batch_size=32,
    balance_labels=False,
    mixup_probability=0.3,
    time_mask=12,
    speed_range=0.0,
    noise_probability=0.0,
    random_eq_db=3.0,
    dropout=0.0,
    max_learning_rate=2e-3,
)
"""Regression of YAMNet's embedding; see `training.embedding_distillation`.

Mixtures are few: in trials of 600 steps, mixing every other crop taught less than mixing none.
"""


def student_recipe(task: str) -> Recipe:
    """Return the recipe of a student of a task's checkpoint; see `training.edge`.

    It begins at random and is small: it takes many epochs, little regularisation and a high
    learning rate.
    """
    # Of emotion there are three times as many recordings as of sounds in a street.
    many = task == "emotion"
    return replace(
        taught_recipe(recipe_for(task)),
        epochs=12 if many else 20,
        embedding_weight=0.0,
        views=2 if many else 6,
        dropout=0.1,
        max_learning_rate=8e-3,
        weight_decay=0.01,
        frequency_mask=6,
        time_mask=16,
        ema_decay=0.998,
    )


def taught_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe of a network that learns what a checkpoint knows, starting from another.

    The teacher heard the same recordings, and is sure of their labels: its embedding tells more
    than its predictions do.
    """
    return replace(
        recipe,
        crop_seconds=recipe.clip_seconds,
        distillation_weight=0.5,
        teacher_temperature=2.0,
        embedding_weight=1.0,
        views=3,
        corruption_probability=0.6,
        label_smoothing=0.0,
    )


def recipe_for(task: str) -> Recipe:
    """Return the recipe of a task: its own, or the one for all that have none."""
    return RECIPES.get(task, DEFAULT_RECIPE)


def label_pretraining(task: str) -> Recipe:
    """Return a recipe for learning a task's labels through all windows, to start others from.

    It is the task's own, but longer and on shorter crops.
    """
    return replace(recipe_for(task), crop_seconds=2.0, epochs=32, time_mask=16, ema_decay=0.998)


def scaled_recipe(recipe: Recipe, recordings: int) -> Recipe:
    """Return a recipe with smaller batches and more epochs, where there are few recordings.

    Batches are halved until an epoch has 16 of them, and there are 300 steps or more in all: the
    recipes are for thousands of recordings, and of 90 would make one step in each epoch.

    Args:
        recipe: of any task.
        recordings: on the training side.
    """
    batch_size = recipe.batch_size
    while batch_size > _SMALLEST_BATCH and recordings < _LEAST_STEPS_PER_EPOCH * batch_size:
        batch_size = max(_SMALLEST_BATCH, batch_size // 2)
    steps = max(1, recordings // batch_size)
    epochs = max(recipe.epochs, math.ceil(_LEAST_STEPS / steps))
    return replace(recipe, batch_size=batch_size, epochs=epochs)


def log_mel_config(recipe: Recipe, window: "WindowName") -> "LogMelConfig":
    """Return the network input of `recipe` with the analysis window `window`.

    16 kHz covers what every corpus has; 64 ms windows resolve the harmonics of a voice.
    """
    from app.audio.log_mel import LogMelConfig  # noqa: PLC0415

    return LogMelConfig(
        sample_rate=16_000,
        clip_seconds=recipe.clip_seconds,
        clip_hop_seconds=recipe.clip_seconds / 2,
        padding="repeat",
        n_fft=1024,
        hop_length=320,
        window=window,
        n_mels=64,
        fmin=50.0,
        fmax=8_000.0,
        amin=1e-10,
        top_db=80.0,
        normalisation="clip",
    )
