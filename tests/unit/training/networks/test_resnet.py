import pytest
import torch
import torchvision

from training.networks.resnet import ResNetAudioClassifier


def test_it_is_torchvisions_resnet50_with_one_channel() -> None:
    ours = sum(p.numel() for p in ResNetAudioClassifier(10).parameters())
    theirs = sum(p.numel() for p in torchvision.models.resnet50(num_classes=10).parameters())
    assert ours == theirs - 2 * 64 * 7 * 7  # two channels less in the stem


@pytest.mark.parametrize("shape", [(2, 1, 64, 151), (1, 1, 128, 173)])
def test_any_spectrogram_gives_logits(shape: tuple[int, ...]) -> None:
    network = ResNetAudioClassifier(7).eval()
    logits = network(torch.randn(shape))
    assert logits.shape == (shape[0], 7)
    assert logits.isfinite().all()


def test_dropout_is_before_the_head_and_only_in_training() -> None:
    torch.manual_seed(0)
    network = ResNetAudioClassifier(5, dropout=0.5)
    network.backbone.requires_grad_(False).eval()
    x = torch.randn(1, 1, 64, 64)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_the_backbone_is_taken_and_the_head_is_not() -> None:
    source, target = ResNetAudioClassifier(1024), ResNetAudioClassifier(7)
    head = target.head[1].weight.clone()
    target.load_backbone(source.state_dict())
    assert torch.equal(target.backbone.conv1.weight, source.backbone.conv1.weight)
    assert torch.equal(target.head[1].weight, head)


def test_other_weights_are_refused() -> None:
    with pytest.raises(RuntimeError, match="Missing key"):
        ResNetAudioClassifier(7).load_backbone({"something": torch.zeros(1)})


def test_an_output_is_added_behind_the_others() -> None:
    torch.manual_seed(0)
    network = ResNetAudioClassifier(3).eval()
    x = torch.randn(2, 1, 64, 64)
    before = network(x)
    weight = torch.randn(2048)
    network.add_output(weight, 0.25)
    after = network(x)
    torch.testing.assert_close(after[:, :3], before)
    torch.testing.assert_close(after[:, 3], network.backbone(x) @ weight + 0.25)
