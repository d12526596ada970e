"""UrbanSound8K as a dataset of PyTorch, on a small one of generated sounds."""

import pickle
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from app.audio.log_mel import log_mel
from app.audio.stft import WINDOWS, WindowName
from app.decoding.errors import EmptyAudioError, UnsupportedAudioError
from tests.support.sounds import RATE, SOUNDS, make, write_urbansound8k
from training.corpora import CorpusError
from training.recipes import RECIPES, log_mel_config
from training.tasks import TASKS
from training.urban_sound_dataset import UrbanSoundDataset


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_urbansound8k(tmp_path, folds=3, clips_per_fold=4)
    return tmp_path / "UrbanSound8K"


def dataset(
    corpus: Path,
    window: WindowName = "hann",
    folds: Collection[str | int] | None = None,
) -> UrbanSoundDataset:
    table = corpus / "metadata" / "UrbanSound8K.csv"
    return UrbanSoundDataset(table, corpus / "audio", window, folds=folds)


@pytest.mark.parametrize("window", WINDOWS)
def test_an_item_is_what_the_front_end_makes_of_the_file(window: WindowName, corpus: Path) -> None:
    config = log_mel_config(RECIPES["urban-sound"], window)
    spectrogram, label = dataset(corpus, window)[5]
    samples, rate = soundfile.read(corpus / "audio/fold2/2001-0-0-0.wav", dtype="float32")
    assert rate == config.sample_rate
    expected = log_mel(np.resize(samples, config.clip_samples), config)
    assert spectrogram.dtype == torch.float32
    assert spectrogram.shape == (1, config.n_mels, config.frames)
    np.testing.assert_array_equal(spectrogram[0].numpy(), expected)
    assert label == TASKS["urban-sound"].labels.index(list(SOUNDS)[1])


def test_a_long_recording_is_its_first_clip(corpus: Path) -> None:
    config = log_mel_config(RECIPES["urban-sound"], "hann")
    samples = np.concatenate([make("siren", 1, seconds=4.0), make("drilling", 2, seconds=5.0)])
    soundfile.write(corpus / "audio/fold1/1000-0-0-0.wav", samples, RATE, subtype="FLOAT")
    expected = log_mel(samples[: 4 * RATE], config)
    np.testing.assert_array_equal(dataset(corpus)[0][0][0].numpy(), expected)


def test_rows_keep_their_order_labels_and_folds(corpus: Path) -> None:
    data = dataset(corpus)
    assert len(data) == 12
    assert data.labels == TASKS["urban-sound"].labels
    assert data.folds == ["1"] * 4 + ["2"] * 4 + ["3"] * 4
    assert [data.labels[data[i][1]] for i in range(12)] == list(SOUNDS) * 3
    assert [clip.label for clip in data.recordings] == list(SOUNDS) * 3


@pytest.mark.parametrize("folds", [["1", "3"], [1, 3], {1, "3"}])
def test_folds_are_chosen_by_number_or_name(folds: Collection[str | int], corpus: Path) -> None:
    for path in (corpus / "audio/fold2").iterdir():
        path.unlink()  # what is not asked for need not be there
    data = dataset(corpus, folds=folds)
    assert data.folds == ["1"] * 4 + ["3"] * 4
    assert len(data) == 8


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_serves_it(workers: int, corpus: Path) -> None:
    data = dataset(corpus)
    # A process that has run networks has threads of theirs, and cannot be forked safely.
    start = "spawn" if workers else None
    loader = DataLoader(data, batch_size=5, num_workers=workers, multiprocessing_context=start)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [5, 5, 2]
    expected = torch.stack([data[i][0] for i in range(12)])
    assert torch.equal(torch.cat([spectrograms for spectrograms, _ in batches]), expected)
    assert torch.cat([labels for _, labels in batches]).tolist() == [data[i][1] for i in range(12)]


def test_it_can_be_sent_to_a_spawned_worker(corpus: Path) -> None:
    data = dataset(corpus, folds=[1])
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again[2][0], data[2][0])


def test_an_unknown_window_is_answered_with_the_known(corpus: Path) -> None:
    with pytest.raises(ValueError, match=r"'hanning'; accepted: hann, hamming, rectangular$"):
        dataset(corpus, "hanning")  # type: ignore[arg-type]


def test_a_missing_file_is_named_with_its_row(corpus: Path) -> None:
    (corpus / "audio/fold2/2001-0-0-0.wav").unlink()
    with pytest.raises(
        CorpusError, match=r"UrbanSound8K\.csv, line 7: .*fold2/2001-0-0-0\.wav does not exist"
    ):
        dataset(corpus)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nothing\.csv: not found"):
        UrbanSoundDataset(str(tmp_path / "nothing.csv"), str(tmp_path), "hann")


def test_folds_that_are_not_there_are_named(corpus: Path) -> None:
    with pytest.raises(CorpusError, match=r"UrbanSound8K\.csv: no recordings of fold 4, 11$"):
        dataset(corpus, folds=[1, 4, 11])
    with pytest.raises(CorpusError, match=r"UrbanSound8K\.csv: no recordings$"):
        dataset(corpus, folds=[])


@pytest.mark.parametrize(
    ("content", "error"), [(b"no sound", UnsupportedAudioError), (b"", EmptyAudioError)]
)
def test_an_unreadable_file_is_named_when_it_is_asked_for(
    content: bytes, error: type[Exception], corpus: Path
) -> None:
    (corpus / "audio/fold1/1002-0-0-0.wav").write_bytes(content)
    data = dataset(corpus)
    data[1]
    with pytest.raises(error, match=r"fold1/1002-0-0-0\.wav: the file is"):
        data[2]
