"""The training loop, on Lightning: AdamW, OneCycleLR, averaged weights, resumed runs."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import threadpoolctl
import torch
from lightning.pytorch.callbacks import (
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    WeightAveraging,
)
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassRecall

from training.loggers import make_logger
from training.networks import AudioClassifier
from training.recipes import Recipe
from training.sampling import BalancedSampler

LAST = "last.ckpt"
_LOGGED_STEP = 10
"""every tenth, or the last of an epoch that has fewer"""
_VALIDATIONS = 4
"""times that a run is validated on held-out recordings"""


@dataclass(frozen=True)
class Schedule:
    """The settings of a run that its random numbers and learning rates follow from."""

    seed: int
    pretrained: bool
    """whether the backbone starts from pretrained weights"""


class TrainingModule(lightning.LightningModule):
    """A network with the optimiser and the schedule that both kinds of training share."""

    def __init__(self, network: AudioClassifier, recipe: Recipe, schedule: Schedule) -> None:
        super().__init__()
        # What convolutions run fastest on, on CPU and GPU. torch's stubs lack the overload.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe = recipe
        self._schedule = schedule

    def on_train_batch_start(self, _batch: object, _index: int) -> None:
        """Seed dropout by the step, so that a resumed run goes on as it would have."""
        torch.manual_seed((self._schedule.seed + self.global_step) * 1_009 + self.global_rank)

    def new_layers(self) -> list[nn.Module]:
        """Return the layers that are not pretrained, whatever the network starts from."""
        return [self.network.head]

    def configure_optimizers(self):  # type: ignore[no-untyped-def]  # Lightning's union of dicts
        """Make AdamW (Loshchilov and Hutter, 2019) with OneCycleLR (Smith and Topin, 2018)."""
        recipe = self.recipe
        rate = recipe.max_learning_rate
        scale = recipe.backbone_lr_scale if self._schedule.pretrained else 1.0
        groups = [
            *(
                group
                for layer in self.new_layers()
                for group in _parameter_groups(layer, rate, recipe.weight_decay)
            ),
            *_parameter_groups(self.network.backbone, scale * rate, recipe.weight_decay),
        ]
        optimizer = torch.optim.AdamW(groups, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in groups],
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.2,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class ClassifierModule(TrainingModule):
    """Minimises the cross entropy against soft labels."""

    def __init__(
        self, network: AudioClassifier, recipe: Recipe, schedule: Schedule, classes: int
    ) -> None:
        super().__init__(network, recipe, schedule)
        self._loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._recall = MulticlassRecall(classes, average="macro")

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of one batch."""
        spectrograms, targets = batch
        loss: Tensor = self._loss(self.network(spectrograms), targets)
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Count one batch of held-out recordings, to watch the run by: nothing depends on it."""
        spectrograms, targets = batch
        self._recall.update(self.network(spectrograms), targets)
        self.log("held_out_uar", self._recall, prog_bar=True)


class TaughtClassifierModule(ClassifierModule):
    """Predicts a teacher's embedding by one more layer, and minimises its squared error, too.

    Feature distillation (Romero et al., FitNets, 2015) of the pooled features.
    """

    def __init__(
        self,
        network: AudioClassifier,
        recipe: Recipe,
        schedule: Schedule,
        classes: int,
        features: int,
    ) -> None:
        super().__init__(network, recipe, schedule, classes)
        self._classes = classes
        self.embedding_head = nn.Linear(network.linear.in_features, features)

    def new_layers(self) -> list[nn.Module]:
        """Return the network's head, and the layer that predicts the embedding."""
        return [*super().new_layers(), self.embedding_head]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of one batch, whose targets are soft labels and then an embedding."""
        spectrograms, targets = batch
        labels, embedding = targets[:, : self._classes], targets[:, self._classes :]
        features = self.network.embed(spectrograms)
        cross_entropy = self._loss(self.network.head(features), labels)
        unexplained = nn.functional.mse_loss(self.embedding_head(features).float(), embedding)
        loss: Tensor = cross_entropy + self.recipe.embedding_weight * unexplained
        self.log_dict({"loss": loss, "unexplained_variance": unexplained}, prog_bar=True)
        return loss


class EmbeddingDistillationModule(TrainingModule):
    """Minimises the squared error against a teacher's embedding."""

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of one batch: the fraction of the teacher's variance not explained."""
        spectrograms, targets = batch
        loss = nn.functional.mse_loss(self.network(spectrograms).float(), targets)
        self.log("unexplained_variance", loss, prog_bar=True)
        return loss


@dataclass(frozen=True)
class Run:
    """The place and the processes of one fit."""

    folder: Path
    """checkpoints and logs; a run found here goes on where it stopped"""
    workers: int
    """processes that prepare batches beside the one that trains"""
    devices: int | Literal["auto"] = "auto"
    """GPUs, or processes where there is none; auto: all GPUs, or one process"""
    loggers: tuple[str, ...] = ("csv", "tensorboard")
    """names, see `training.loggers`"""


def balanced_loader(
    dataset: Dataset[tuple[Tensor, Tensor]],
    weights: NDArray[np.float64],
    *,
    batch_size: int,
    seed: int,
    workers: int,
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return a loader of the batches that `BalancedSampler` draws from `dataset`."""
    sampler = BalancedSampler(weights, seed)
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        drop_last=len(sampler) > batch_size,
        pin_memory=torch.cuda.is_available(),
    )


def fit(
    module: TrainingModule,
    training: DataLoader[tuple[Tensor, Tensor]],
    held_out: DataLoader[tuple[Tensor, int]] | None,
    run: Run,
) -> None:
    """Train, or go on training where `run.folder` holds an interrupted run.

    Afterwards `module.network` has the averaged weights.
    """
    last = run.folder / LAST
    trainer = lightning.Trainer(
        default_root_dir=run.folder,
        devices=run.devices,
        max_epochs=module.recipe.epochs,
        check_val_every_n_epoch=-(-module.recipe.epochs // _VALIDATIONS),
        precision=_precision(),
        # They begin a new version when a run is resumed.
        logger=[make_logger(name, run.folder) for name in run.loggers],
        callbacks=[
            _Averaging(use_buffers=True, avg_fn=moving_average(module.recipe.ema_decay)),
            ModelCheckpoint(
                run.folder,
                filename=LAST.removesuffix(".ckpt"),
                enable_version_counter=False,
                save_on_train_epoch_end=True,  # not only after those that are watched
            ),
            LearningRateMonitor("epoch"),
            RichProgressBar(refresh_rate=10),
        ],
        log_every_n_steps=max(1, min(_LOGGED_STEP, len(training))),
        enable_model_summary=False,
        use_distributed_sampler=False,  # ours takes each device's share itself
    )
    # Batches are made on threads of ours. BLAS would start its own in each of them, for products
    # too small to gain by it, and have them spin in the way of the network.
    with threadpoolctl.threadpool_limits(1, "blas"):
        trainer.fit(module, training, held_out, ckpt_path=last if last.exists() else None)
    if not trainer.is_global_zero:
        # One process for each device ran up to here; what follows is for the first alone.
        sys.exit()


class _Averaging(WeightAveraging):
    """Leaves the averaged weights in the network, even where nothing was left to train."""

    def on_fit_end(self, _: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        # Lightning takes them over in on_train_end, which a finished run does not reach again.
        self._copy_average_to_current(pl_module)


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return an exponential moving average that follows fast at first.

    With the full `decay` from the start, a short run would end with hardly more than the
    weights it began with. The warm-up (1 + n) / (10 + n) is TensorFlow's.
    """

    def average(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        now = min(decay, (1 + int(updates)) / (10 + int(updates)))
        return averaged * now + current * (1 - now)

    return average


def _parameter_groups(module: nn.Module, rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Return a module's parameters for AdamW: weights, and others without decay.

    Decaying biases and normalisation gains only shrinks what carries no redundancy.
    """
    weights = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": weights, "lr": rate, "weight_decay": weight_decay},
        {"params": others, "lr": rate, "weight_decay": 0.0},
    ]


def _precision() -> Literal["bf16-mixed", "16-mixed", "32-true"]:
    """Return bf16 where the processor computes in it natively, else fp32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    processor = torch.cpu.get_capabilities()
    native = processor.get("avx512_bf16") or processor.get("amx_bf16")
    return "bf16-mixed" if native else "32-true"


def default_workers() -> int:
    """Return how many processes prepare batches beside the one that trains.

    None on two cores: spectrograms take a twentieth of the network's time there, and a
    process more would only make the network's threads wait for each other.
    """
    return max(0, (os.cpu_count() or 1) // 2 - 1)
