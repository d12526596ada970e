"""Corpora whose paths tell the label and the speaker: a table, and one loader for all of them."""

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from earshot.audio_formats import is_hidden
from training.corpora.labeled_recording import Corpus, CorpusError, LabeledRecording

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class NamedFilesCorpus(Corpus):
    """A corpus without a table of its own."""

    glob: str
    """finds the recordings below the folder, whatever the case of their suffix"""
    pattern: str
    """matches a whole path below the folder, its suffix in lower case; its group `label` is a key
    of `labels`, `group` a speaker or source, and `fold` the fold, where that is not `group`"""
    example: str
    """a path that matches, for messages"""
    labels: Mapping[str, str | None]
    """code in the path (in lower case where cases vary) -> label; None: left out"""
    others: Mapping[str, str] = field(default_factory=dict)
    """pattern of a whole path -> what such files are, which are left out"""
    misnamed: Mapping[str, str] = field(default_factory=dict)
    """file names of the official download that break its own rule -> what they should be"""

    def load(self, root: Path) -> list[LabeledRecording]:
        """Read all recordings below `root`, sorted by path.

        A file that the official download is known to misname is read as what it should be
        called, and told as a warning.

        Raises CorpusError when there are no recordings, all are left out, or a path is not like
        `example`.
        """
        glob = re.sub(r"\.wav$", ".[wW][aA][vV]", self.glob)
        paths = sorted(p for p in root.glob(glob) if not is_hidden(p.relative_to(root)))
        if not paths:
            raise CorpusError(f"{root}: no recordings found (looked for {self.glob})")
        left_out: Counter[str] = Counter()
        read = [self._read(root, path, left_out) for path in paths]
        for what, count in left_out.items():
            log.warning("%s: left out %d files: %s", root, count, what)
        recordings = [recording for recording in read if recording is not None]
        if not recordings:
            raise CorpusError(f"{root}: all of its {len(paths)} recordings are left out")
        return recordings

    def _read(self, root: Path, path: Path, left_out: Counter[str]) -> LabeledRecording | None:
        found = path.with_suffix(path.suffix.lower()).name
        name = self.misnamed.get(found, found)
        if name != found:
            log.warning("%s is misnamed in the official download: read as %s", path, name)
        relative = path.relative_to(root).with_name(name).as_posix()
        for pattern, what in self.others.items():
            if re.fullmatch(pattern, relative):
                left_out[what] += 1
                return None
        match = re.fullmatch(self.pattern, relative)
        code = match["label"] if match else ""
        code = code if code in self.labels else code.lower()
        if match is None or code not in self.labels:
            raise CorpusError(
                f"{path}: expected a name like {self.example}, label {', '.join(self.labels)}"
            )
        label, groups = self.labels[code], match.groupdict()
        if label is None:
            return None
        return LabeledRecording(
            path=path,
            label=label,
            corpus=self.name,
            group=f"{self.name}:{groups['group']}",
            fold=groups.get("fold") or groups["group"],
        )


_GTZAN_GENRES = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)

NAMED_FILES_CORPORA = (
    NamedFilesCorpus(
        name="ravdess",
        folder="RAVDESS",
        licence="CC BY-NC-SA 4.0",
        citation="Livingstone and Russo, PLoS ONE 13(5), 2018; the speech of actors, English",
        glob="Actor_*/*.wav",
        pattern=r"Actor_(?P<group>\d\d)/03-01-(?P<label>\d\d)-\d\d-\d\d-\d\d-(?P=group)\.wav",
        example="Actor_12/03-01-05-01-02-01-12.wav",
        others={r"Actor_(\d\d)/03-02-\d\d-\d\d-\d\d-\d\d-\1\.wav": "songs, which are not speech"},
        labels={
            "01": "neutral",
            "02": "neutral",  # calm
            "03": "happy",
            "04": "sad",
            "05": "angry",
            "06": "fearful",
            "07": "disgust",
            "08": "surprised",
        },
    ),
    NamedFilesCorpus(
        name="emodb",
        folder="EmoDB",
        licence="free for research",
        citation="Burkhardt et al., Interspeech 2005; acted, German",
        glob="wav/*.wav",
        pattern=r"wav/(?P<group>\d\d)[ab]\d\d(?P<label>[A-Z])[a-z]\.wav",
        example="wav/03a01Fa.wav",
        labels={
            "W": "angry",
            "E": "disgust",
            "A": "fearful",
            "F": "happy",
            "T": "sad",
            "N": "neutral",
            "L": None,  # boredom
        },
    ),
    NamedFilesCorpus(
        name="tess",
        folder="TESS",
        licence="CC BY-NC-ND 4.0",
        citation="Pichora-Fuller and Dupuis, 2020; two women, English, single words",
        glob="*/*.wav",
        pattern=r"(?P<group>[OY]AF)_(?P<label>[A-Za-z_]+)/(?P=group)_[A-Za-z'-]+_[A-Za-z]+\.wav",
        example="OAF_Fear/OAF_back_fear.wav",
        labels={
            "neutral": "neutral",
            "happy": "happy",
            "sad": "sad",
            "angry": "angry",
            "fear": "fearful",
            "disgust": "disgust",
            "ps": "surprised",  # pleasant surprise
            "pleasant_surprise": "surprised",
            "pleasant_surprised": "surprised",
        },
        misnamed={"OA_bite_neutral.wav": "OAF_bite_neutral.wav"},
    ),
    NamedFilesCorpus(
        name="urdu",
        folder="URDU",
        licence="research only",
        citation="Latif et al., FIT 2018; from talk shows, not acted, Urdu",
        glob="*/*.wav",
        pattern=r"(?P<label>[A-Za-z]+)/(?P<group>S[MF]\d+)_F\d+_[A-Z]+\d+\.wav",
        example="Angry/SM1_F10_A010.wav",
        labels={"angry": "angry", "happy": "happy", "neutral": "neutral", "sad": "sad"},
    ),
    NamedFilesCorpus(
        name="cremad",
        folder="CREMA-D",
        licence="Open Database License (ODbL) 1.0",
        citation="Cao et al., IEEE Transactions on Affective Computing 5(4), 2014; acted, English",
        glob="AudioWAV/*.wav",
        pattern=r"AudioWAV/(?P<group>\d{4})_[A-Z]{3}_(?P<label>[A-Z]{3})_[A-Z]{2}\.wav",
        example="AudioWAV/1001_DFA_ANG_XX.wav",
        labels={
            "ANG": "angry",
            "DIS": "disgust",
            "FEA": "fearful",
            "HAP": "happy",
            "NEU": "neutral",
            "SAD": "sad",
        },
        misnamed={"1040_ITH_SAD_X.wav": "1040_ITH_SAD_XX.wav"},
    ),
    NamedFilesCorpus(
        name="savee",
        folder="SAVEE",
        licence="free for research",
        citation="Haq and Jackson, AVSP 2009; four men, acted, English",
        glob="**/*.wav",
        # Copies of the corpus have all files in one folder, and the speaker in their names.
        pattern=r"(?:.*/)?(?P<group>DC|JE|JK|KL)[/_](?P<label>[a-z]{1,2})\d\d\.wav",
        example="DC/a01.wav or DC_a01.wav, speaker DC, JE, JK, KL",
        labels={
            "a": "angry",
            "d": "disgust",
            "f": "fearful",
            "h": "happy",
            "n": "neutral",
            "sa": "sad",
            "su": "surprised",
        },
    ),
    NamedFilesCorpus(
        name="emovo",
        folder="EMOVO",
        licence="non-commercial use with acknowledgement (second-hand)",
        citation="Costantini et al., LREC 2014; acted, Italian",
        glob="*/*.wav",
        pattern=r"(?P<group>[fm]\d)/(?P<label>[a-z]{3})-(?P=group)-[a-z]\d\.wav",
        example="f1/dis-f1-b1.wav",
        labels={
            "dis": "disgust",
            "gio": "happy",
            "neu": "neutral",
            "pau": "fearful",
            "rab": "angry",
            "sor": "surprised",
            "tri": "sad",
        },
    ),
    NamedFilesCorpus(
        name="turev",
        folder="TurEV-DB",
        licence="CC BY-NC-ND 4.0",
        citation="Canpolat et al., LREC 2020; acted, Turkish, single words",
        glob="Sound Source/*/*.wav",
        pattern=r"Sound Source/(?P<label>[A-Za-z]+)/(?P<group>\d{4})_[a-z]{2}_[a-z]+\d?\.wav",
        example="Sound Source/Angry/1157_kz_acik.wav",
        labels={"angry": "angry", "calm": "neutral", "happy": "happy", "sad": "sad"},
    ),
    NamedFilesCorpus(
        name="banglaser",
        folder="BanglaSER",
        licence="CC BY 4.0",
        citation="Das et al., Data in Brief 42, 2022; acted, Bangla, on phones and laptops",
        glob="*.wav",
        # The codes are not those of RAVDESS.
        pattern=r"03-01-(?P<label>\d\d)-\d\d-\d\d-\d\d-(?P<group>\d\d)\.wav",
        example="03-01-04-02-03-02-33.wav",
        labels={"01": "happy", "02": "sad", "03": "angry", "04": "surprised", "05": "neutral"},
        # 01 would be video with sound, which the corpus does not have.
        misnamed={
            f"01-01-04-02-03-0{take}-15.wav": f"03-01-04-02-03-0{take}-15.wav" for take in (1, 2, 3)
        },
    ),
    NamedFilesCorpus(
        name="emotiontts",
        folder="EmotionTTS",
        licence="research only",
        citation="EmotionTTS Open DB; acted, Korean",
        glob="*/*/*.wav",
        pattern=r"(?P<label>[a-z]+)/(?P<group>[a-z]{3})/(?P=group)\d{5}\.wav",
        example="happy/ema/ema00101.wav",
        labels={label: label for label in ("angry", "happy", "neutral", "sad")},
    ),
    # Who plays is not told, so each file is a group of its own, and a fold is the ten files of
    # each genre that follow each other, as those of one artist often do. Many artists, and some
    # recordings, occur in several files (Sturm, MIRUM 2012): scores on its folds flatter.
    NamedFilesCorpus(
        name="gtzan",
        folder="GTZAN",
        licence="none stated, commonly used for research",
        citation="Tzanetakis and Cook, IEEE Trans. Speech and Audio Processing 10(5), 2002",
        glob="genres*/*/*.[aAwW]*",
        pattern=r"genres\w*/(?P<label>[a-z]+)/(?P<group>(?P=label)\.000(?P<fold>\d)\d)\.(?:wav|au)",
        example="genres_original/jazz/jazz.00054.wav",
        labels={genre: genre for genre in _GTZAN_GENRES},
    ),
)
