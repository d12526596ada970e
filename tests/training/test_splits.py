from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.datasets import Clip
from training.splits import SplitError, draw_folds, hold_out


def clip(corpus: str, group: str, fold: str, number: int = 0) -> Clip:
    return Clip(Path(f"{corpus}-{group}-{number}.wav"), "siren", corpus, group, fold)


TWO_FOLDS = [clip("urbansound8k", "a", "1"), clip("urbansound8k", "b", "2")]

clips = st.lists(
    st.builds(
        clip,
        corpus=st.sampled_from(["urbansound8k", "esc50"]),
        group=st.integers(0, 12).map(lambda i: f"freesound:{i}"),
        fold=st.sampled_from("123"),
        number=st.integers(0, 99),
    ),
    min_size=1,
)


@given(clips, st.sampled_from("123"))
def test_no_group_is_on_both_sides(table: list[Clip], fold: str) -> None:
    try:
        split = hold_out(table, {"urbansound8k": [fold]})
    except SplitError:
        return
    assert not {c.group for c in split.train} & {c.group for c in split.test}
    assert split.test == [c for c in table if (c.corpus, c.fold) == ("urbansound8k", fold)]
    # Nothing is lost but what shares a group with the held-out clips.
    lost = [c for c in table if c not in split.train and c not in split.test]
    assert {c.group for c in lost} <= {c.group for c in split.test}


def test_a_recording_shared_by_two_corpora_is_dropped_from_training() -> None:
    table = [
        clip("urbansound8k", "freesound:1", "1"),
        clip("urbansound8k", "freesound:2", "2"),
        clip("esc50", "freesound:1", "5"),
        clip("esc50", "freesound:3", "1"),
    ]
    split = hold_out(table, {"urbansound8k": ["1"]})
    assert [c.group for c in split.test] == ["freesound:1"]
    assert [c.group for c in split.train] == ["freesound:2", "freesound:3"]


def test_a_fold_that_is_not_there_is_named() -> None:
    with pytest.raises(SplitError, match="urbansound8k has no fold 9; it has 1, 2"):
        hold_out(TWO_FOLDS, {"urbansound8k": ["9"]})


@pytest.mark.parametrize(("folds", "side"), [(["1", "2"], "training"), ([], "held-out")])
def test_an_empty_side_is_an_error(folds: list[str], side: str) -> None:
    with pytest.raises(SplitError, match=f"the {side} side of the split is empty"):
        hold_out(TWO_FOLDS, {"urbansound8k": folds})


def test_a_fifth_of_the_folds_is_drawn_by_the_seed() -> None:
    table = [clip("nemo", f"nemo:{i}", str(i)) for i in range(10)]
    drawn = draw_folds(table, seed=1)
    assert len(drawn["nemo"]) == 2
    assert drawn == draw_folds(table, seed=1)
    assert any(draw_folds(table, seed=s) != drawn for s in range(2, 6))


def test_one_speaker_cannot_be_split() -> None:
    with pytest.raises(SplitError, match="one fold or speaker"):
        draw_folds([clip("tess", "tess:oaf", "oaf", i) for i in range(5)], seed=0)
