"""The loop: averaging, and an interrupted run that ends as if it had not been."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.fit import (
    LAST,
    ClassifierModule,
    Run,
    Schedule,
    TaughtClassifierModule,
    balanced_loader,
    fit,
    moving_average,
)
from training.loggers import make_logger, require_loggers
from training.networks import AudioClassifier, build_network
from training.recipes import Recipe
from training.runs import RunError
from training.sampling import SampleSpec

RECIPE = Recipe(clip_seconds=1.0, crop_seconds=1.0, epochs=8, batch_size=4, dropout=0.5)


class Stripes(Dataset[tuple[Tensor, Tensor]]):
    """Two classes of noise: with a bright stripe along time, or along frequency."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, spec: SampleSpec) -> tuple[Tensor, Tensor]:
        index, seed = spec
        picture = torch.from_numpy(np.random.default_rng(seed).standard_normal((1, 32, 32)))
        place = (0, slice(8, 12)) if index % 2 else (0, slice(None), slice(8, 12))
        picture[place] += 5
        return picture.float(), torch.nn.functional.one_hot(torch.tensor(index % 2), 2).float()


def small_network() -> AudioClassifier:
    """A network that learns in moments, with all that a run has to carry on: see ResNet50."""
    backbone = nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=5, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return AudioClassifier(backbone, 8, 2, dropout=RECIPE.dropout)


class Interrupted(ClassifierModule):
    """Fails in the second epoch, as a machine that is switched off does."""

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        if self.current_epoch == 1:
            raise InterruptedError("switched off")
        return super().training_step(batch, _)


def run(folder: Path, kind: type[ClassifierModule] = ClassifierModule) -> dict[str, Tensor]:
    place = Run(folder, workers=0)
    folder.mkdir(exist_ok=True)
    loader = balanced_loader(
        Stripes(), np.full(16, 1 / 16), batch_size=RECIPE.batch_size, seed=5, workers=0
    )
    torch.manual_seed(5)
    module = kind(small_network(), RECIPE, Schedule(seed=5, pretrained=False), 2)
    fit(module, loader, None, place)
    return {name: weight.clone() for name, weight in module.network.state_dict().items()}


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        run(tmp_path / "cut", Interrupted)
    assert (tmp_path / "cut" / LAST).exists()
    resumed = run(tmp_path / "cut")
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight, rtol=1e-3, atol=1e-4)


def test_the_loss_is_logged_where_an_epoch_has_four_batches(tmp_path: Path) -> None:
    run(tmp_path)
    [log] = tmp_path.glob("log/version_*/metrics.csv")
    with log.open() as file:
        losses = [row["loss"] for row in csv.DictReader(file) if row["loss"]]
    assert len(losses) == RECIPE.epochs
    assert all(0.1 < float(loss) < 2 for loss in losses)
    assert list(tmp_path.glob("tensorboard/version_*/events.*"))


def test_loggers_are_chosen_by_name(tmp_path: Path) -> None:
    assert isinstance(make_logger("csv", tmp_path), CSVLogger)
    assert isinstance(make_logger("tensorboard", tmp_path), TensorBoardLogger)
    require_loggers(("csv", "tensorboard"))


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_without_its_package_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as Python marks what cannot be imported
    with pytest.raises(RunError, match=f"--logger {name}: .*run `pip install {name}`"):
        require_loggers(("csv", name))


def test_a_finished_run_gives_its_averaged_weights_again(tmp_path: Path) -> None:
    first = run(tmp_path)
    for name, weight in run(tmp_path).items():
        assert torch.equal(weight, first[name]), name


@pytest.mark.parametrize(("pretrained", "scale"), [(False, 1.0), (True, RECIPE.backbone_lr_scale)])
def test_a_pretrained_backbone_learns_slower_than_its_head(pretrained: bool, scale: float) -> None:
    module = ClassifierModule(build_network("resnet50", 2), RECIPE, Schedule(0, pretrained), 2)
    module.trainer = lightning.Trainer(
        max_steps=10, accelerator="cpu", logger=False, enable_checkpointing=False
    )
    optimizer = module.configure_optimizers()["optimizer"]
    rates = {id(p): g["max_lr"] for g in optimizer.param_groups for p in g["params"]}
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert len(rates) == len(list(module.network.parameters()))
    assert rates[id(module.network.head[1].weight)] == RECIPE.max_learning_rate
    stem = module.network.backbone.conv1.weight
    assert rates[id(stem)] == pytest.approx(scale * RECIPE.max_learning_rate)
    assert decays[id(stem)] == RECIPE.weight_decay
    assert decays[id(module.network.backbone.bn1.weight)] == 0


def test_a_taught_run_learns_labels_and_embedding() -> None:
    recipe = replace(RECIPE, label_smoothing=0.0, embedding_weight=0.25)
    network = small_network().eval()
    module = TaughtClassifierModule(network, recipe, Schedule(0, pretrained=True), 2, 3)
    with torch.no_grad():
        network.linear.weight.zero_()
        network.linear.bias.copy_(torch.tensor([0.0, np.log(3)]))  # a quarter and three quarters
        module.embedding_head.weight.zero_()
        module.embedding_head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    targets = torch.tensor([[1.0, 0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 2.0, 0.0]])
    loss = module.training_step((torch.zeros(2, 1, 32, 32), targets), 0)
    cross_entropy = (np.log(4) + np.log(4 / 3)) / 2
    assert loss.item() == pytest.approx(cross_entropy + 0.25 * 9 / 6, rel=1e-6)
    assert module.new_layers() == [network.head, module.embedding_head]


def test_the_average_follows_fast_at_first_and_slowly_later() -> None:
    average = moving_average(0.99)
    one, zero = torch.ones(1), torch.zeros(1)
    assert average(zero, one, 0).item() == pytest.approx(0.9)
    assert average(zero, one, 10).item() == pytest.approx(9 / 20)
    assert average(zero, one, 10_000).item() == pytest.approx(0.01)
