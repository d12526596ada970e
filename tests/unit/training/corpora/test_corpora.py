"""Loaders on generated trees in the official layouts."""

import logging
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpora import CORPORA, CorpusError, load_corpora
from training.data_source import DataSource
from training.tasks import TASKS


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(root: Path, name: str, text: str) -> None:
    touch(root, name)
    (root / name).write_text(text)


def urbansound8k(root: Path) -> None:
    touch(root, "audio/fold1/7-3-0-0.wav", "audio/fold10/9-8-0-1.wav")
    write(
        root,
        "metadata/UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "7-3-0-0.wav,7,0.0,4.0,1,1,3,dog_bark\n"
        "9-8-0-1.wav,9,0.5,4.5,1,10,8,siren\n",
    )


def esc50(root: Path) -> None:
    touch(root, "audio/1-100032-A-0.wav")
    write(
        root,
        "meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n",
    )


def ravdess(root: Path) -> None:
    touch(
        root,
        "Actor_01/03-01-01-01-01-01-01.wav",
        "Actor_12/03-01-02-02-01-01-12.wav",
        "Actor_12/03-01-08-02-01-01-12.wav",
    )


def emodb(root: Path) -> None:
    touch(root, "wav/03a01Fa.wav", "wav/03a01La.wav", "wav/16b10Wb.wav")


def tess(root: Path) -> None:
    touch(root, "OAF_Fear/OAF_back_fear.wav", "YAF_ps/YAF_back_ps.wav")
    touch(root, "OAF_Pleasant_surprise/OAF_back_ps.wav")


def nemo(root: Path) -> None:
    touch(root, "samples/WR0_surprised_64.wav")
    write(
        root,
        "data.tsv",
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
        "WR0_surprised_64.wav\tsurprised\tUcho.\tucho\t\tmale\t23\n".replace("\t\t", "\t  WR0\t"),
    )


def urdu(root: Path) -> None:
    touch(root, "Angry/SM1_F10_A010.wav", "Sad/SF2_F1_S01.wav")


def cremad(root: Path) -> None:
    touch(root, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1001_IEO_NEU_LO.wav")
    touch(root, "AudioWAV/1040_ITH_SAD_X.wav", "AudioMP3/1001_DFA_ANG_XX.mp3")


def savee(root: Path) -> None:
    touch(root, "AudioData/DC/a01.wav", "AudioData/DC/sa15.wav", "AudioData/KL/su02.wav")
    touch(root, "AudioData/Info.txt")


def gtzan(root: Path) -> None:
    touch(root, "genres_original/blues/blues.00000.wav", "genres_original/jazz/jazz.00054.wav")
    touch(root, "genres_original/hiphop/hiphop.00099.wav")
    touch(root, "genres_original/jazz/._jazz.00000.wav", "images_original/jazz/jazz00000.png")


def emovo(root: Path) -> None:
    touch(root, "f1/dis-f1-b1.wav", "f1/sor-f1-n5.wav", "m3/tri-m3-l4.wav")


def turev(root: Path) -> None:
    touch(root, "Sound Source/Calm/1358_sk_beste.wav", "Sound Source/Sad/7895_hl_ogul1.wav")


def banglaser(root: Path) -> None:
    touch(root, "03-01-01-01-02-03-34.wav", "03-01-05-01-02-03-01.wav")
    touch(root, "01-01-04-02-03-01-15.wav")


def emotiontts(root: Path) -> None:
    touch(root, "happy/neo/neo00105.wav", "angry/ema/ema00001.wav")


def meta(root: Path, *rows: str) -> None:
    touch(root, *(f"audio/{row.split(',')[0]}" for row in rows))
    write(root, "meta.csv", "\n".join(("filename,group,tags", *rows)))


def sonyc(root: Path) -> None:
    meta(root, "01_026905.wav,sonyc-sensor-01,dog+engine", "02_000001.wav,sonyc-sensor-02,untagged")


def kitchen20(root: Path) -> None:
    meta(root, "0-101477-A-3.wav,101477,microwave", "4-M2-G-17.wav,kitchen20:M2,stove-fan")


def household(root: Path) -> None:
    meta(root, "aircon_1_0.wav,timgrau:aircon_1,air_conditioner")


# corpus -> (how to make one, the clips as (file, label, group, fold))
LAYOUTS: dict[str, tuple[Callable[[Path], None], list[tuple[str, str, str, str]]]] = {
    "urbansound8k": (
        urbansound8k,
        [
            ("7-3-0-0.wav", "dog_bark", "freesound:7", "1"),
            ("9-8-0-1.wav", "siren", "freesound:9", "10"),
        ],
    ),
    "esc50": (esc50, [("1-100032-A-0.wav", "dog", "freesound:100032", "1")]),
    "ravdess": (
        ravdess,
        [
            ("03-01-01-01-01-01-01.wav", "neutral", "ravdess:01", "01"),
            ("03-01-02-02-01-01-12.wav", "neutral", "ravdess:12", "12"),
            ("03-01-08-02-01-01-12.wav", "surprised", "ravdess:12", "12"),
        ],
    ),
    "emodb": (
        emodb,
        [
            ("03a01Fa.wav", "happy", "emodb:03", "03"),
            ("16b10Wb.wav", "angry", "emodb:16", "16"),
        ],
    ),
    "tess": (
        tess,
        [
            ("OAF_back_fear.wav", "fearful", "tess:OAF", "OAF"),
            ("OAF_back_ps.wav", "surprised", "tess:OAF", "OAF"),
            ("YAF_back_ps.wav", "surprised", "tess:YAF", "YAF"),
        ],
    ),
    "nemo": (nemo, [("WR0_surprised_64.wav", "surprised", "nemo:WR0", "WR0")]),
    "urdu": (
        urdu,
        [
            ("SM1_F10_A010.wav", "angry", "urdu:SM1", "SM1"),
            ("SF2_F1_S01.wav", "sad", "urdu:SF2", "SF2"),
        ],
    ),
    "cremad": (
        cremad,
        [
            ("1001_DFA_ANG_XX.wav", "angry", "cremad:1001", "1001"),
            ("1001_IEO_NEU_LO.wav", "neutral", "cremad:1001", "1001"),
            ("1040_ITH_SAD_X.wav", "sad", "cremad:1040", "1040"),
        ],
    ),
    "savee": (
        savee,
        [
            ("a01.wav", "angry", "savee:DC", "DC"),
            ("sa15.wav", "sad", "savee:DC", "DC"),
            ("su02.wav", "surprised", "savee:KL", "KL"),
        ],
    ),
    "emovo": (
        emovo,
        [
            ("dis-f1-b1.wav", "disgust", "emovo:f1", "f1"),
            ("sor-f1-n5.wav", "surprised", "emovo:f1", "f1"),
            ("tri-m3-l4.wav", "sad", "emovo:m3", "m3"),
        ],
    ),
    "turev": (
        turev,
        [
            ("1358_sk_beste.wav", "neutral", "turev:1358", "1358"),
            ("7895_hl_ogul1.wav", "sad", "turev:7895", "7895"),
        ],
    ),
    "banglaser": (
        banglaser,
        [
            ("01-01-04-02-03-01-15.wav", "surprised", "banglaser:15", "15"),
            ("03-01-01-01-02-03-34.wav", "happy", "banglaser:34", "34"),
            ("03-01-05-01-02-03-01.wav", "neutral", "banglaser:01", "01"),
        ],
    ),
    "emotiontts": (
        emotiontts,
        [
            ("ema00001.wav", "angry", "emotiontts:ema", "ema"),
            ("neo00105.wav", "happy", "emotiontts:neo", "neo"),
        ],
    ),
    "sonyc": (
        sonyc,
        [
            ("01_026905.wav", "dog+engine", "sonyc:sonyc-sensor-01", "sonyc-sensor-01"),
            ("02_000001.wav", "untagged", "sonyc:sonyc-sensor-02", "sonyc-sensor-02"),
        ],
    ),
    "kitchen20": (
        kitchen20,
        [
            ("0-101477-A-3.wav", "microwave", "freesound:101477", "101477"),
            ("4-M2-G-17.wav", "stove-fan", "kitchen20:M2", "kitchen20:M2"),
        ],
    ),
    "household": (
        household,
        [("aircon_1_0.wav", "air_conditioner", "timgrau:aircon_1", "timgrau:aircon_1")],
    ),
    "gtzan": (
        gtzan,
        [
            ("blues.00000.wav", "blues", "gtzan:blues.00000", "0"),
            ("hiphop.00099.wav", "hiphop", "gtzan:hiphop.00099", "9"),
            ("jazz.00054.wav", "jazz", "gtzan:jazz.00054", "5"),
        ],
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_corpus_in_its_official_layout(name: str, tmp_path: Path) -> None:
    make, expected = LAYOUTS[name]
    make(tmp_path / CORPORA[name].folder)
    clips = load_corpora(tmp_path, [name])
    assert [(c.path.name, c.label, c.group, c.fold) for c in clips] == expected
    assert all(clip.path.is_file() and clip.corpus == name for clip in clips)


def test_every_corpus_is_tested_and_says_its_licence() -> None:
    assert LAYOUTS.keys() == CORPORA.keys()
    assert all(corpus.licence for corpus in CORPORA.values())


def test_every_corpus_of_a_task_has_only_the_tasks_labels(tmp_path: Path) -> None:
    for name, (make, _) in LAYOUTS.items():
        make(tmp_path / CORPORA[name].folder)
    for name, task in TASKS.items():
        recordings, labels = DataSource(tmp_path).load(name)
        assert labels == task.labels
        assert {recording.corpus for recording in recordings} == set(task.corpora)
        assert {recording.label for recording in recordings} <= set(task.labels)


def test_every_corpus_but_those_for_pretraining_serves_a_task() -> None:
    others = CORPORA.keys() - {name for task in TASKS.values() for name in task.corpora}
    assert others == {"esc50", "gtzan", "sonyc", "kitchen20", "household"}


def test_all_codes_of_the_emotion_corpora(tmp_path: Path) -> None:
    codes = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    touch(tmp_path / "CREMA-D", *(f"AudioWAV/1091_TIE_{code}_HI.wav" for code in codes))
    expected = ["angry", "disgust", "fearful", "happy", "neutral", "sad"]
    assert [clip.label for clip in load_corpora(tmp_path, ["cremad"])] == expected
    letters = ("a", "d", "f", "h", "n", "sa", "su")
    touch(tmp_path / "SAVEE", *(f"AudioData/JK/{letter}07.wav" for letter in letters))
    assert [c.label for c in load_corpora(tmp_path, ["savee"])] == [*expected, "surprised"]

    codes = ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
    touch(tmp_path / "EMOVO", *(f"m1/{code}-m1-d2.wav" for code in codes))
    assert [clip.label for clip in load_corpora(tmp_path, ["emovo"])] == [
        *("disgust", "happy", "neutral", "fearful", "angry", "surprised", "sad")
    ]
    names = ("Angry", "Calm", "Happy", "Sad")
    touch(tmp_path / "TurEV-DB", *(f"Sound Source/{name}/1157_kz_acik.wav" for name in names))
    assert [clip.label for clip in load_corpora(tmp_path, ["turev"])] == [
        *("angry", "neutral", "happy", "sad")
    ]
    touch(tmp_path / "BanglaSER", *(f"03-01-0{code}-01-01-01-07.wav" for code in range(1, 6)))
    assert [clip.label for clip in load_corpora(tmp_path, ["banglaser"])] == [
        *("happy", "sad", "angry", "surprised", "neutral")
    ]
    names = ("angry", "happy", "neutral", "sad")
    touch(tmp_path / "EmotionTTS", *(f"{name}/ema/ema00001.wav" for name in names))
    assert [clip.label for clip in load_corpora(tmp_path, ["emotiontts"])] == list(names)


def test_a_file_that_is_known_to_be_misnamed_is_read_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / "TESS", "OAF_neutral/OA_bite_neutral.wav")
    touch(tmp_path / "CREMA-D", "AudioWAV/1040_ITH_SAD_X.wav")
    banglaser(tmp_path / "BanglaSER")
    with caplog.at_level(logging.WARNING):
        found = load_corpora(tmp_path, ["tess", "cremad", "banglaser"])
    assert [clip.label for clip in found[:3]] == ["neutral", "sad", "surprised"]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    for name in ("OA_bite_neutral", "1040_ITH_SAD_X", "01-01-04-02-03-01-15"):
        assert any(f"{name}.wav is misnamed" in message for message in messages)


@pytest.mark.parametrize("name", LAYOUTS)
def test_files_of_the_system_are_no_recordings(name: str, tmp_path: Path) -> None:
    make, expected = LAYOUTS[name]
    root = tmp_path / CORPORA[name].folder
    make(root)
    for path in list(root.rglob("*.*")):
        touch(path.parent, f"._{path.name}", ".DS_Store")
        relative = path.relative_to(root).as_posix()
        touch(root, f"__MACOSX/{relative}", f"__MACOSX/._{path.name}")
        for folder in ("@eaDir", "$RECYCLE.BIN", ".Trash-1000", "System Volume Information"):
            touch(path.parent, f"{folder}/{path.name}")
            touch(root, f"{folder}/{relative}")
    assert len(load_corpora(tmp_path, [name])) == len(expected)


@pytest.mark.parametrize("name", LAYOUTS)
def test_suffixes_in_upper_case_are_read(name: str, tmp_path: Path) -> None:
    make, expected = LAYOUTS[name]
    root = tmp_path / CORPORA[name].folder
    make(root)
    for path in [path for path in root.rglob("*.*") if path.suffix in (".wav", ".au")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    recordings = load_corpora(tmp_path, [name])
    assert [(each.label, each.group) for each in recordings] == [
        tuple(row)[1:3] for row in expected
    ]
    assert all(each.path.is_file() for each in recordings)


def test_songs_of_ravdess_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "RAVDESS"
    touch(root, *(f"Actor_17/03-0{channel}-05-01-02-01-17.wav" for channel in (1, 2)))
    [speech] = load_corpora(tmp_path, ["ravdess"])
    assert speech.path.name == "03-01-05-01-02-01-17.wav"
    assert [record.message for record in caplog.records] == [
        f"{root}: left out 1 files: songs, which are not speech"
    ]
    speech.path.unlink()
    with pytest.raises(CorpusError, match="RAVDESS: all of its 1 recordings are left out"):
        load_corpora(tmp_path, ["ravdess"])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ravdess", "Actor_17/03-01-05-01-02-01-17 (1).wav"),
        ("ravdess", "Actor_17/03-01-05-01-02-01-17_copy.wav"),
        ("ravdess", "Actor_16/03-01-05-01-02-01-17.wav"),
        ("urdu", "Angry/SM1_F10_A010_copy.wav"),
        ("urdu", "Angry/SM1_F10_A010 (1).wav"),
        ("cremad", "AudioWAV/1001_DFA_ANG_XX copy.wav"),
        ("emodb", "wav/03a01Fa (2).wav"),
    ],
)
def test_copies_are_refused_by_their_names(name: str, path: str, tmp_path: Path) -> None:
    touch(tmp_path / CORPORA[name].folder, path)
    with pytest.raises(CorpusError, match=rf"{re.escape(path)}: expected a name like"):
        load_corpora(tmp_path, [name])


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("utf-8-sig", None),
        ("utf-16", "a table has to be in UTF-8; it is in UTF-16$"),
        ("cp1252", r"a table has to be in UTF-8; the byte 0xfc in line 2 is not, as in cp1252$"),
    ],
)
def test_tables_are_in_utf_8(encoding: str, message: str | None, tmp_path: Path) -> None:
    root = tmp_path / "ESC-50-master"
    touch(root, "audio/tür.wav")
    text = "filename,fold,category,src_file\ntür.wav,1,dog,7\n"
    write(root, "meta/esc50.csv", "")
    (root / "meta/esc50.csv").write_bytes(text.encode(encoding))
    if message is None:
        [found] = load_corpora(tmp_path, ["esc50"])
        assert found.path.name == "tür.wav"
    else:
        with pytest.raises(CorpusError, match=rf"esc50\.csv: {message}"):
            load_corpora(tmp_path, ["esc50"])


NAMED = {name: layout for name, layout in LAYOUTS.items() if hasattr(CORPORA[name], "pattern")}


@given(st.sampled_from(sorted(NAMED)), st.text("aA0-_ .", min_size=1, max_size=3), st.booleans())
def test_names_match_whole_or_are_refused_with_the_file(
    name: str, extra: str, in_front: bool
) -> None:
    """An official name with something before or behind it is another name."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / CORPORA[name].folder
        NAMED[name][0](root)
        original = CORPORA[name].load(root)[-1].path
        wrong = f"{extra}{original.stem}" if in_front else f"{original.stem}{extra}"
        renamed = original.rename(original.with_name(f"{wrong}{original.suffix}"))
        if wrong.startswith("."):
            return  # hidden, and perhaps the only one
        error = None
        try:
            recordings = CORPORA[name].load(root)
        except CorpusError as raised:
            error = str(raised)
        if error is None:  # another official name
            assert renamed in {recording.path for recording in recordings}
        else:
            assert renamed.name in error


def test_savee_in_one_folder(tmp_path: Path) -> None:
    touch(tmp_path / "SAVEE", "ALL/JE_h01.wav", "ALL/JK_su03.wav", "ALL/._JK_su03.wav")
    clips = load_corpora(tmp_path, ["savee"])
    assert [(clip.label, clip.fold) for clip in clips] == [("happy", "JE"), ("surprised", "JK")]


def test_the_first_release_of_gtzan(tmp_path: Path) -> None:
    touch(tmp_path / "GTZAN", "genres/rock/rock.00010.au", "genres/input.mf")
    [clip] = load_corpora(tmp_path, ["gtzan"])
    assert (clip.label, clip.group, clip.fold) == ("rock", "gtzan:rock.00010", "1")


def test_corpora_that_are_missing_are_left_out(tmp_path: Path) -> None:
    emodb(tmp_path / "EmoDB")
    recordings, _ = DataSource(tmp_path).load("emotion")
    assert {recording.corpus for recording in recordings} == {"emodb"}
    assert load_corpora(tmp_path, ["savee"], optional=True) == []


def test_no_corpus_at_all_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="none of the folders UrbanSound8K is here"):
        load_corpora(tmp_path, ["urbansound8k"])


def bad_column(root: Path) -> None:
    urbansound8k(root)
    table = root / "metadata/UrbanSound8K.csv"
    table.write_text(table.read_text().replace("fsID", "freesound"))


def bad_class(root: Path) -> None:
    urbansound8k(root)
    table = root / "metadata/UrbanSound8K.csv"
    table.write_text(table.read_text().replace("siren", "sirene"))


def no_value(root: Path) -> None:
    urbansound8k(root)
    table = root / "metadata/UrbanSound8K.csv"
    table.write_text(table.read_text().replace("7-3-0-0.wav,7,", "7-3-0-0.wav,,"))


def no_file(root: Path) -> None:
    urbansound8k(root)
    (root / "audio/fold10/9-8-0-1.wav").unlink()


def no_table(root: Path) -> None:
    root.mkdir(parents=True)


def bad_name(root: Path) -> None:
    touch(root, "Actor_01/03-01-09-01-01-01-01.wav")


def bad_letter(root: Path) -> None:
    touch(root, "wav/03a01Xa.wav")


def bad_folder(root: Path) -> None:
    touch(root, "OAF_bored/OAF_back_bored.wav")


def bad_emotion(root: Path) -> None:
    nemo(root)
    table = root / "data.tsv"
    table.write_text(table.read_text().replace("\tsurprised\t", "\tbored\t"))


def named(name: str) -> Callable[[Path], None]:
    return lambda root: touch(root, name)


def no_recordings(root: Path) -> None:
    (root / "Angry").mkdir(parents=True)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("urbansound8k", bad_column, r"UrbanSound8K\.csv: missing column fsID; it has \['slice"),
        ("urbansound8k", bad_class, r"UrbanSound8K\.csv, line 3: unknown class 'sirene'; known: a"),
        ("urbansound8k", no_value, r"UrbanSound8K\.csv, line 2: no value for fsID"),
        ("urbansound8k", no_file, r"line 3: .*9-8-0-1\.wav does not exist"),
        ("urbansound8k", no_table, r"UrbanSound8K\.csv: not found"),
        ("ravdess", bad_name, r"03-01-09-01-01-01-01\.wav: expected a name like"),
        ("emodb", bad_letter, r"03a01Xa\.wav: expected .* label W, E"),
        ("tess", bad_folder, r"OAF_bored/OAF_back_bored\.wav: expected .* label neutral"),
        ("nemo", bad_emotion, r"data\.tsv, line 2: unknown emotion 'bored'; known: anger"),
        ("urdu", no_recordings, r"URDU: no recordings found"),
        ("cremad", named("AudioWAV/1001_DFA_FUN_XX.wav"), r"1001_DFA_FUN_XX\.wav: .* ANG, DIS"),
        (
            "cremad",
            named("AudioWAV/1001_DFA_ANG.wav"),
            r"expected a name like AudioWAV/1001_DFA_ANG_XX",
        ),
        ("cremad", named("AudioWAV/me_DFA_ANG_XX.wav"), r"me_DFA_ANG_XX\.wav: expected a name"),
        ("cremad", named("1001_DFA_ANG_XX.wav"), r"CREMA-D: no recordings found .*AudioWAV/\*"),
        ("savee", named("AudioData/DC/b01.wav"), r"DC/b01\.wav: expected .*label a, d, f"),
        ("savee", named("AudioData/XX/a01.wav"), r"XX/a01\.wav: expected .*speaker DC, JE, JK"),
        ("savee", named("AudioData/DC/saa01.wav"), r"saa01\.wav: expected a name like DC/a01"),
        ("savee", named("ALL/MDC_a01.wav"), r"MDC_a01\.wav: expected a name like"),
        ("savee", named("AudioData/Info.txt"), r"SAVEE: no recordings found"),
        ("emovo", named("f1/dis-f2-b1.wav"), r"f1/dis-f2-b1\.wav: expected a name like f1/dis"),
        ("emovo", named("f1/xxx-f1-b1.wav"), r"xxx-f1-b1\.wav: expected .* label dis, gio"),
        ("turev", named("Sound Source/Bored/1157_kz_acik.wav"), r"acik\.wav: .* label angry, calm"),
        ("turev", named("Angry/1157_kz_acik.wav"), r"TurEV-DB: no recordings found"),
        ("banglaser", named("03-01-06-01-01-01-01.wav"), r"03-01-06-01-01-01-01\.wav: expected"),
        ("banglaser", named("03-02-01-01-01-01-01.wav"), r"03-02-01-01-01-01-01\.wav: expected"),
        ("emotiontts", named("sad/ema/emb00001.wav"), r"ema/emb00001\.wav: expected a name like"),
        ("sonyc", no_table, r"meta\.csv: not found"),
        ("gtzan", named("genres/jazz/rock.00001.wav"), r"rock\.00001\.wav: expected a name like"),
        ("gtzan", named("genres/polka/polka.00001.wav"), r"polka\.00001\.wav: .*label blues, cl"),
        ("gtzan", named("genres_original/jazz/jazz.00100.wav"), r"jazz\.00100\.wav: expected"),
        ("gtzan", named("blues/blues.00000.wav"), r"GTZAN: no recordings found .*genres\*"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_row(
    name: str, spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    spoil(tmp_path / CORPORA[name].folder)
    with pytest.raises(CorpusError, match=message):
        load_corpora(tmp_path, [name])
