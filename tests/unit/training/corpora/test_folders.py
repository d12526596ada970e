"""The loader of anyone's own recordings, on generated trees."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.audio_formats import AUDIO_SUFFIXES
from training.corpora import CorpusError, LabeledRecording
from training.corpora.folders import load_folders


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def rows(clips: list[LabeledRecording], root: Path) -> list[tuple[str, str, str]]:
    return [(c.path.relative_to(root).as_posix(), c.label, c.fold) for c in clips]


def test_labels_and_groups_are_folders(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("yes/anna/1.wav", "yes/anna/monday/2.wav", "yes/ben/1.flac", "yes/3.wav"),
        *("no/anna/1.wav", "no/3.wav"),
    )
    clips = load_folders(tmp_path)
    assert rows(clips, tmp_path) == [
        ("no/3.wav", "no", "no/3.wav"),
        ("no/anna/1.wav", "no", "anna"),
        ("yes/3.wav", "yes", "yes/3.wav"),
        ("yes/anna/1.wav", "yes", "anna"),
        ("yes/anna/monday/2.wav", "yes", "anna"),
        ("yes/ben/1.flac", "yes", "ben"),
    ]
    assert all(clip.corpus == "folders" for clip in clips)
    assert all(clip.group == f"folders:{clip.fold}" for clip in clips)


words = st.text("abcdefgh", min_size=1, max_size=3)
files = st.builds("{}{}".format, words, st.sampled_from(AUDIO_SUFFIXES))
below_label = st.builds(lambda folders, file: (*folders, file), st.lists(words, max_size=3), files)


@given(st.dictionaries(words, st.sets(below_label, max_size=4), min_size=2, max_size=4))
@settings(max_examples=30)
def test_every_recording_is_found_once(tree: dict[str, set[tuple[str, ...]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for label, names in tree.items():
            touch(root, *("/".join((label, *name)) for name in names), f"{label}/z/z.wav")
        clips = load_folders(root)
        expected = {
            (label, *name) for label, names in tree.items() for name in (*names, ("z", "z.wav"))
        }
        assert sorted(clip.path.relative_to(root).parts for clip in clips) == sorted(expected)
        for clip in clips:
            label, *between, name = clip.path.relative_to(root).parts
            assert clip.label == label
            assert clip.group == f"folders:{between[0] if between else f'{label}/{name}'}"


def test_only_visible_files_of_known_kinds_count(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("a/1.WAV", "a/2.Mp3", "a/3.mp4", "a/notes.txt", "a/wav", "a/.1.wav", "a/.git/1.wav"),
        *("b/1.ogg", ".hidden/1.wav", "README.md", "a/._4.wav", "b/@eaDir/1.wav"),
        *("$RECYCLE.BIN/1.wav", "__MACOSX/1.wav", "a/.Trash-1000/1.wav", "a/Thumbs.db"),
        *("c/1.wave", "c/2.AIFC", "c/3.mka", "c/4.weba"),
    )
    (tmp_path / "b/folder.wav").mkdir()
    touch(tmp_path, "b/folder.wav/2.webm")
    assert rows(load_folders(tmp_path), tmp_path) == [
        ("a/1.WAV", "a", "a/1.WAV"),
        ("a/2.Mp3", "a", "a/2.Mp3"),
        ("a/3.mp4", "a", "a/3.mp4"),
        ("b/1.ogg", "b", "b/1.ogg"),
        ("b/folder.wav/2.webm", "b", "folder.wav"),
        *((f"c/{name}", "c", f"c/{name}") for name in ("1.wave", "2.AIFC", "3.mka", "4.weba")),
    ]


def test_links_back_are_not_followed(tmp_path: Path) -> None:
    root = touch(tmp_path / "own", "a/anna/1.wav", "b/ben/1.wav")
    (root / "a/anna/again").symlink_to("..")
    (root / "a/all").symlink_to(root)
    (root / "a/above").symlink_to(tmp_path)
    (root / "a/other").symlink_to(root / "b")
    (root / "c").symlink_to(root / "b")
    (root / "d").symlink_to(root)
    (root / "e").symlink_to("e")
    assert rows(load_folders(root), root) == [
        ("a/anna/1.wav", "a", "anna"),
        ("b/ben/1.wav", "b", "ben"),
    ]


def test_links_elsewhere_are_followed_and_their_loops_end(tmp_path: Path) -> None:
    store = touch(tmp_path / "store", "ben/1.wav", "ben/2/2.wav", "c/1.wav")
    (store / "ben/2/loop").symlink_to(store / "ben")
    (store / "c/loop").symlink_to(store / "c")
    root = touch(tmp_path / "own", "a/anna/1.wav", "b/anna/1.wav")
    (root / "a/ben").symlink_to(store / "ben")
    (root / "b/1.wav").symlink_to(store / "c/1.wav")
    (root / "c").symlink_to(store / "c")
    assert rows(load_folders(root), root) == [
        ("a/anna/1.wav", "a", "anna"),
        ("a/ben/1.wav", "a", "ben"),
        ("a/ben/2/2.wav", "a", "ben"),
        ("b/1.wav", "b", "b/1.wav"),
        ("b/anna/1.wav", "b", "anna"),
        ("c/1.wav", "c", "c/1.wav"),
    ]


def one_label(root: Path) -> None:
    touch(root, "dog/1.wav", "dog/anna/2.wav")


def sides(root: Path) -> None:
    touch(root, "train/dog/1.wav", "Test/dog/2.wav")


def no_labels(root: Path) -> None:
    touch(root, "dog.wav", ".git/1.wav")


def empty_label(root: Path) -> None:
    touch(root, "dog/1.wav", "cat/notes.txt", "cat/.1.wav")
    (root / "cat/anna").mkdir()


def broken_link(root: Path) -> None:
    touch(root, "dog/1.wav", "cat/1.wav")
    (root / "cat/2.wav").symlink_to("gone.wav")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: None, r"own: no such folder; expected <label>/<file> or <label>/<speaker"),
        (lambda root: root.touch(), r"own: no such folder"),
        (no_labels, r"own: no folders in it, so no labels; expected <label>/<file>"),
        (sides, r"own: Test and train are sides of a split, not labels; give a folder with <label"),
        (one_label, r"own: dog is the only label, at least two are needed; expected <label>"),
        (empty_label, r"own/cat: no recordings in this label's folder \(known: \.aac .* \.webm\)"),
        (broken_link, r"own/cat/2\.wav: not a file, or a link to one that does not exist"),
    ],
)
def test_what_is_wrong_is_named(
    spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    root = tmp_path / "own"
    spoil(root)
    with pytest.raises(CorpusError, match=message):
        load_folders(root)
