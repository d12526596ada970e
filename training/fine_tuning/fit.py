"""The fine-tuning of a speech encoder: resumable, and on several processes."""

import copy
import json
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn
from torch.nn import functional

from training.fine_tuning.batches import SpeechBatches
from training.networks.speech_encoder import SpeechEncoderClassifier

log = logging.getLogger(__name__)

STATE, AVERAGED = "state.pt", "averaged.safetensors"

_PREFETCHED = 6


class FitError(ValueError):
    """A run cannot begin or go on; the message says why."""


@dataclass(frozen=True)
class FitRecipe:
    """Hyperparameters of the optimiser and its schedule."""

    steps: int = 1_000
    encoder_lr: float = 1.5e-4
    """peak learning rate of the encoder's last layer"""
    head_lr: float = 1e-3
    """peak learning rate of mix, pooling and head"""
    layer_decay: float = 0.85
    """of the learning rate, from each layer to the one before"""
    frozen_layers: int = 1
    """layers that are not trained; neither is the stem"""
    warmup_fraction: float = 0.07
    """of the steps, in which the learning rate rises; then it falls as a cosine"""
    final_lr_fraction: float = 0.01
    """of the peak"""
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    """spread over the labels that the recording's corpus has"""
    max_gradient_norm: float = 1.0
    ema_decay: float = 0.99
    save_every: int = 200


def lr_fraction(step: int, recipe: FitRecipe) -> float:
    """Return the learning rate at `step` as a fraction of its peak."""
    done = step / recipe.steps
    if done < recipe.warmup_fraction:
        return done / recipe.warmup_fraction
    falling = (done - recipe.warmup_fraction) / (1 - recipe.warmup_fraction)
    cosine = 0.5 * (1 + math.cos(math.pi * falling))
    return recipe.final_lr_fraction + (1 - recipe.final_lr_fraction) * cosine


def adjusted_loss(logits: Tensor, targets: Tensor, offsets: Tensor, smoothing: float) -> Tensor:
    """Return the cross entropy of `logits + offsets`, smoothed over labels whose offset is 0.

    Args:
        logits: `[batch, labels]`.
        targets: index of each label, `[batch]`.
        offsets: of the recordings' corpora, `[batch, labels]`; see `label_offsets`.
        smoothing: fraction of the target that is spread.
    """
    log_probabilities = (logits + offsets).log_softmax(dim=1)
    present = (offsets == 0).float()
    spread = present / present.sum(dim=1, keepdim=True)
    smooth = -(spread * log_probabilities).sum(dim=1).mean()
    return (1 - smoothing) * functional.nll_loss(log_probabilities, targets) + smoothing * smooth


def fit(
    network: SpeechEncoderClassifier,
    batches: SpeechBatches,
    targets: NDArray[np.int64],
    offsets: NDArray[np.float32],
    recipe: FitRecipe,
    folder: Path,
    *,
    on_save: Callable[[int, nn.Module], None] | None = None,
) -> SpeechEncoderClassifier:
    """Fine-tune `network`, or go on where a run in `folder` stopped.

    Where `torch.distributed` is set up, every process gives batches of its own (by another seed)
    and gradients are averaged; the first one writes.

    Args:
        network: changed in place.
        batches: to train on.
        targets: index of each recording's label, `[recordings]`.
        offsets: added to each recording's logits, `[recordings, labels]`.
        recipe: hyperparameters.
        folder: of the run; the averaged weights are written to `AVERAGED` in it.
        on_save: called with the step and the averaged network whenever the state is saved.

    Returns:
        the network whose weights are the exponential moving average over steps.

    Raises:
        FitError: the folder holds the state of another run.
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network.freeze_below(recipe.frozen_layers)
    averaged = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(
        network.parameter_groups(
            encoder_lr=recipe.encoder_lr,
            head_lr=recipe.head_lr,
            layer_decay=recipe.layer_decay,
        ),
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    peaks = [group["lr"] for group in optimizer.param_groups]
    step = _resume(folder, network, averaged, optimizer, recipe)
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    device = trained[0].device
    network.train()
    started = time.monotonic()
    for inputs, indices in _prefetch(batches.batches(step, recipe.steps)):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * lr_fraction(step, recipe)
        with torch.autocast(device.type, torch.bfloat16):
            logits = network(inputs.to(device))
        loss = adjusted_loss(
            logits.float(),
            torch.from_numpy(targets[indices]).to(device),
            torch.from_numpy(offsets[indices]).to(device),
            recipe.label_smoothing,
        )
        loss.backward()  # type: ignore[no-untyped-call]
        _average_gradients(trained)
        nn.utils.clip_grad_norm_(trained, recipe.max_gradient_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        # The warm-up is that of `training.fit.moving_average`.
        _update_ema(averaged, network, min(recipe.ema_decay, (1 + step) / (10 + step)))
        if _is_first() and (step % recipe.save_every == 0 or step == recipe.steps):
            _save(folder, network, averaged, optimizer, recipe, step)
            seconds = time.monotonic() - started
            log.info("step %d: loss %.3f, %.0f s since the start", step, loss.item(), seconds)
            if on_save is not None:
                on_save(step, averaged)
    if _is_first():
        save_file({k: v.contiguous() for k, v in averaged.state_dict().items()}, folder / AVERAGED)
    return averaged


def load_averaged(network: nn.Module, path: Path) -> None:
    """Load weights that `fit` wrote into `network`.

    Raises FitError when the file holds none, or those of another network.
    """
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise FitError(f"{path}: not the weights of this network: {reason}") from error


def average_networks(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of several networks' weights (model soups: Wortsman et al., ICML 2022)."""
    return {
        name: torch.stack([state[name].float() for state in states]).mean(dim=0)
        for name in states[0]
    }


def _resume(
    folder: Path,
    network: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: FitRecipe,
) -> int:
    path = folder / STATE
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    if json.loads(state["recipe"]) != asdict(recipe):
        raise FitError(f"{path} is of a run by another recipe: remove {folder}, or name another")
    network.load_state_dict(state["network"])
    averaged.load_state_dict(state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    step: int = state["step"]
    log.info("going on at step %d", step)
    return step


def _save(
    folder: Path,
    network: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: FitRecipe,
    step: int,
) -> None:
    partial = folder / f"{STATE}.partial"
    state = {
        "recipe": json.dumps(asdict(recipe)),
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    torch.save(state, partial)
    partial.replace(folder / STATE)


def _is_first() -> bool:
    return not distributed.is_initialized() or distributed.get_rank() == 0


def _average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    if not distributed.is_initialized():
        return
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    parts = torch.split(flat, [p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)


@torch.no_grad()
def _update_ema(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    pairs = zip(averaged.parameters(), network.parameters(), strict=True)
    for mean, current in pairs:
        if current.requires_grad:
            mean.lerp_(current, 1 - decay)


def _prefetch(
    batches: Iterator[tuple[Tensor, list[int]]],
) -> Iterator[tuple[Tensor, list[int]]]:
    """Make batches on another thread, a few ahead; raise here what fails there."""
    made: queue.Queue[tuple[Tensor, list[int]] | BaseException | None] = queue.Queue(_PREFETCHED)

    def make() -> None:
        try:
            for batch in batches:
                made.put(batch)
            made.put(None)
        except BaseException as error:  # raised again below
            made.put(error)

    threading.Thread(target=make, daemon=True).start()
    while (batch := made.get()) is not None:
        if isinstance(batch, BaseException):
            raise batch
        yield batch
