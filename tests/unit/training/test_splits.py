from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpora import CorpusError, LabeledRecording
from training.splits import (
    Split,
    SplitError,
    draw_folds,
    hold_out,
    k_folds,
    official_folds,
    require_groups,
    require_labels,
    require_learnable,
    require_measured,
)


def clip(
    corpus: str, group: str, fold: str, number: int = 0, label: str = "siren"
) -> LabeledRecording:
    return LabeledRecording(Path(f"{corpus}-{group}-{number}.wav"), label, corpus, group, fold)


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
def test_no_group_is_on_both_sides(table: list[LabeledRecording], fold: str) -> None:
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


def sessions(**groups: str) -> list[LabeledRecording]:
    """Recordings of own folders: label -> the sessions it was recorded in, a letter each."""
    return [
        clip("folders", f"folders:{group}", group, number, label)
        for label, letters in groups.items()
        for group in letters
        for number in range(4)
    ]


@given(st.integers(0, 50))
def test_a_drawn_split_has_each_label_on_both_sides_and_alike_frequent(seed: int) -> None:
    # One in ten is rare: of ten draws that look at groups alone, four have it on one side.
    table = sessions(often="abcdefghijklmnopqr", rare="st")
    split = hold_out(table, draw_folds(table, seed))
    assert {each.label for each in split.test} == {each.label for each in split.train}
    assert 12 <= len(split.test) <= 20


def test_a_label_that_no_draw_can_measure_says_what_to_do() -> None:
    # Every session has two of the three: whatever is held out, one label is on one side.
    table = sessions(purr="ab", knock="bc", hum="ac")
    with pytest.raises(
        SplitError,
        match=r"has every label both .*: hum \(a, c\); knock \(b, c\); purr \(a, b\)\. Add rec",
    ):
        draw_folds(table, seed=0)
    with pytest.raises(SplitError, match=r"one group only .*: hum: folders:a of folders"):
        draw_folds(sessions(purr="ab", hum="a"), seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_k_folds_hold_everything_out_once_with_every_label(seed: int) -> None:
    table = sessions(often="abcdefghijkl", rare="mnop")
    folds = k_folds(table, 4, seed)
    assert len(folds) == 4
    names = [name for fold in folds for name in fold["folders"]]
    assert sorted(names) == sorted("abcdefghijklmnop")
    for fold in folds:
        assert sum(name in "mnop" for name in fold["folders"]) == 1
        require_measured(hold_out(table, fold), table)
    assert k_folds(table, 4, seed) == folds


def test_folds_that_cannot_be_say_what_can() -> None:
    table = sessions(purr="abc", knock="cde", hum="de")
    with pytest.raises(SplitError, match="--folds 6: from 2 to 5 are possible"):
        k_folds(table, 6, seed=0)
    with pytest.raises(SplitError, match=r"--folds 3: a label would be missing .*hum \(d, e\)"):
        k_folds(table, 3, seed=0)


def test_official_folds_are_those_of_urbansound8k(caplog: pytest.LogCaptureFixture) -> None:
    table = [clip("urbansound8k", f"freesound:{i}", str(i)) for i in range(1, 11)]
    assert official_folds(table) == [{"urbansound8k": (str(i),)} for i in range(1, 11)]
    assert not caplog.messages
    assert official_folds(table[1:3]) == [{"urbansound8k": ("2",)}, {"urbansound8k": ("3",)}]
    assert "only 2 of the 10 official folds are here: 2, 3" in caplog.messages
    with pytest.raises(SplitError, match=r"these recordings are of folders; .* --folds 5"):
        official_folds(sessions(purr="ab"))


def test_a_label_that_would_not_be_measured_is_named(caplog: pytest.LogCaptureFixture) -> None:
    table = sessions(purr="abc", knock="bc")
    require_measured(hold_out(table, {"folders": ["b"]}), table)
    with pytest.raises(
        SplitError, match=r"no held-out recording has, .*: knock \(b, c\)\. Hold out one of these"
    ):
        require_measured(hold_out(table, {"folders": ["a"]}), table)
    # A corpus without the label can be held out: that is no fault of the split.
    table += [clip("emodb", "emodb:03", "03", label="purr")]
    require_measured(hold_out(table, {"emodb": ["03"]}), table)
    assert caplog.messages == ["not measured, for no held-out corpus has it: knock"]


def said(label: str, group: str) -> LabeledRecording:
    corpus, fold = group.split(":")
    return clip(corpus, group, fold, label=label)


spoken = st.lists(
    st.builds(
        said,
        label=st.sampled_from(["happy", "sad", "angry"]),
        group=st.sampled_from(["tess:oaf", "tess:yaf", "savee:DC", "savee:KL"]),
    )
)


@given(spoken)
def test_a_label_needs_two_groups_over_all_corpora(table: list[LabeledRecording]) -> None:
    pairs = {(c.label, c.group) for c in table}
    single = {c.label for c in table if sum(label == c.label for label, _ in pairs) == 1}
    if not single:
        require_groups(table)
        return
    with pytest.raises(SplitError) as raised:
        require_groups(table)
    for label in ("happy", "sad", "angry"):
        assert (f" {label}: " in str(raised.value)) == (label in single)


def test_a_label_of_one_group_is_named_with_a_file() -> None:
    table = [said("happy", "tess:oaf"), said("happy", "tess:yaf"), said("sad", "tess:oaf")]
    table += [said("sad", "tess:oaf"), said("angry", "savee:DC")]
    with pytest.raises(
        SplitError,
        match=r"not both: angry: savee:DC of savee \(such as savee-savee:DC-0\.wav\); "
        r"sad: tess:oaf of tess \(such as tess-tess:oaf-0\.wav\)\. Add recordings",
    ):
        require_groups(table)
    require_groups([*table, said("sad", "savee:DC"), said("angry", "tess:yaf")])


@given(spoken, spoken)
def test_what_is_measured_must_be_learned(
    train: list[LabeledRecording], test: list[LabeledRecording]
) -> None:
    unknown = {c.label for c in test} - {c.label for c in train}
    if not unknown:
        require_learnable(Split(train, test))
        return
    with pytest.raises(SplitError) as raised:
        require_learnable(Split(train, test))
    for label in ("happy", "sad", "angry"):
        assert (f" {label}: " in str(raised.value)) == (label in unknown)


def test_a_label_that_only_held_out_folds_have_is_named() -> None:
    table = [said("happy", "tess:oaf"), said("happy", "tess:yaf")]
    table += [said("sad", "tess:yaf"), said("sad", "savee:KL")]
    require_learnable(hold_out(table, {"tess": ["yaf"]}))
    split = hold_out(table, {"tess": ["yaf"], "savee": ["KL"]})
    with pytest.raises(
        SplitError,
        match=r"learn them from: sad: fold (yaf of tess|KL of savee) \(such as .*\.wav\)\. Hold",
    ):
        require_learnable(split)


def test_pretraining_may_hold_out_what_is_never_learned() -> None:
    table = [
        *TWO_FOLDS,
        clip("esc50", "c", "1", label="dog"),
        clip("esc50", "d", "2", label="rain"),
    ]
    assert len(hold_out(table, {"esc50": ["1"]}).test) == 1


def test_a_label_that_is_not_expected_is_named_with_its_file() -> None:
    table = [said("happy", "tess:oaf"), said("bored", "emodb:03")]
    require_labels(table, ("happy", "sad", "bored"))
    with pytest.raises(
        CorpusError,
        match=r"emodb-emodb:03-0\.wav \(emodb\): label 'bored' is not one of happy, sad$",
    ):
        require_labels(table, ("happy", "sad"))
