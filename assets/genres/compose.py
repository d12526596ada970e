# /// script
# requires-python = ">=3.11"
# dependencies = ["mido>=1.3", "numpy", "soundfile>=0.13"]
# ///
"""Render the scores in ``scores.toml`` to the genre example clips.

Scores are text. ``C4+E4:1.5`` is a chord of 1.5 beats (C4 is middle C), ``-`` a rest; a note
without a length takes the length of the one before it. ``>`` marks an accent, ``'`` staccato,
and ``pp`` to ``ff`` set the dynamic. Drum patterns hold one sign per step: ``X`` accented,
``x`` normal, ``o`` soft, ``.`` rest. In both, ``|`` is a bar line and a bar of ``%`` repeats
the one before it.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import mido
import numpy as np
import numpy.typing as npt
import soundfile as sf

SAMPLE_RATE = 44_100  # Hz
CLIP_SECONDS = 12
FADE_SECONDS = 0.3
PEAK_DBFS = -1.0
VORBIS_COMPRESSION = 0.75  # 0 is the best quality, 1 the smallest file
WRITE_BLOCK = 16_384  # frames; one very long Vorbis write can crash libsndfile
TICKS_PER_BEAT = 960
SEED = 12
SCORES = Path(__file__).with_name("scores.toml")
DEFAULT_SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
INSTALL_HINT = "On Debian or Ubuntu: apt-get install fluidsynth fluid-soundfont-gm"

# MIDI banks and programs, counted from 0.
INSTRUMENTS = {
    "piano": (0, 0),
    "Rhodes piano": (0, 4),
    "music box": (0, 10),
    "vibraphone": (0, 11),
    "jazz guitar": (0, 26),
    "overdrive guitar": (0, 29),
    "distortion guitar": (0, 30),
    "acoustic bass": (0, 32),
    "fingered bass": (0, 33),
    "picked bass": (0, 34),
    "violin": (0, 40),
    "viola": (0, 41),
    "cello": (0, 42),
    "choir": (0, 52),
    "muted trumpet": (0, 59),
    "tenor sax": (0, 66),
    "flute": (0, 73),
    "sine wave": (8, 80),
}
DRUM_CHANNEL = 9
DRUM_KITS = {"power kit": 16, "TR-808 kit": 25, "jazz kit": 32, "brush kit": 40}
DRUM_KEYS = {
    "kick": 36,
    "snare": 38,
    "clap": 39,
    "hat": 42,
    "low_tom": 43,
    "pedal_hat": 44,
    "open_hat": 46,
    "crash": 49,
    "ride": 51,
}
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11, "#": 1, "b": -1}

# MIDI velocities.
DYNAMICS = {"pp": 44, "p": 58, "mp": 70, "mf": 84, "f": 98, "ff": 110}
ACCENT = 16
DRUM_STROKES = {"X": 118, "x": 94, "o": 56}

Event = tuple[float, mido.Message]  # beats, MIDI message
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Note:
    """One sounding note; times in beats."""

    start: float
    length: float
    key: int
    velocity: int


@dataclass(frozen=True)
class Player:
    """Who plays a line, and the player's place in the mix (MIDI values, 0 to 127)."""

    instrument: str
    volume: int = 100
    pan: int = 64
    reverb: int = 20
    pedal: int = 0  # beats between changes of the sustain pedal; 0 leaves it up
    intervals: Sequence[int] = (0,)  # semitones played above each written note


@dataclass(frozen=True)
class Line:
    """One line of music, a score or drum patterns, and those who play it."""

    players: Sequence[Player]
    score: str = ""
    drums: Mapping[str, str] = field(default_factory=dict)
    start: float = 0.0  # beats
    gate: float = 0.92  # share of its written length that a note of the score sounds
    steps_per_beat: int = 4  # signs of a drum pattern


@dataclass(frozen=True)
class Piece:
    """A short composition."""

    genre: str
    name: str
    tempo: int  # beats per minute
    lines: Sequence[Line]
    chords: Mapping[str, str] = field(default_factory=dict)  # notes of the chord symbols
    swing: float = 0.5  # share of a pair of notes that the first one takes
    swing_pair: float = 1.0  # beats
    looseness: float = 0.006  # seconds, standard deviation of the players' timing
    drive: float = 0.0  # dB by which the mix is pushed into saturation; 0 leaves it clean


def read_pieces(path: Path) -> Iterator[Piece]:
    """Read the pieces of a score file."""
    for piece in tomllib.loads(path.read_text(encoding="utf-8"))["piece"]:
        lines = [
            Line(**{**line, "players": [Player(**player) for player in line["players"]]})
            for line in piece["line"]
        ]
        yield Piece(lines=lines, **{key: piece[key] for key in piece if key != "line"})


def bars_of(text: str) -> list[str]:
    """Split a score or a drum pattern into bars and write repeated bars out."""
    bars: list[str] = []
    for bar in text.split("|"):
        bars.append(bars[-1] if bar.strip() == "%" else bar)
    return bars


def key_of(pitch: str) -> int:
    """Return the MIDI key of a pitch such as ``F#4``."""
    return 12 * (int(pitch[-1]) + 1) + sum(SEMITONES[sign] for sign in pitch[:-1])


def score_notes(line: Line, chords: Mapping[str, str]) -> Iterator[Note]:
    """Read the notes of a line's score."""
    start, beats, velocity = line.start, 1.0, DYNAMICS["mf"]
    for token in " ".join(bars_of(line.score)).split():
        if token in DYNAMICS:
            velocity = DYNAMICS[token]
            continue
        name, _, length = token.replace(">", "").replace("'", "").partition(":")
        beats = float(Fraction(length)) if length else beats
        sounding = beats * (0.45 if "'" in token else line.gate)
        loudness = velocity + (ACCENT if ">" in token else 0)
        if name != "-":
            for pitch in chords.get(name, name).split("+"):
                yield Note(start, sounding, key_of(pitch), loudness)
        start += beats


def drum_notes(line: Line) -> Iterator[Note]:
    """Read the strokes of a line's drum patterns."""
    step = 1 / line.steps_per_beat
    for drum, pattern in line.drums.items():
        for index, sign in enumerate("".join("".join(bars_of(pattern)).split())):
            if sign != ".":
                start = line.start + index * step
                yield Note(start, step / 2, DRUM_KEYS[drum], DRUM_STROKES[sign])


def swung(beat: float, piece: Piece) -> float:
    """Move a position in beats to where the piece's swing puts it."""
    pairs, rest = divmod(beat, piece.swing_pair)
    place = rest / piece.swing_pair
    middle = 0.5
    if place < middle:
        place *= piece.swing / middle
    else:
        place = 1 - (1 - place) * (1 - piece.swing) / middle
    return (pairs + place) * piece.swing_pair


def setup(player: Player, channel: int) -> Iterator[Event]:
    """Choose the player's instrument and set the mix."""
    if player.instrument in DRUM_KITS:
        bank, program = 0, DRUM_KITS[player.instrument]
    else:
        bank, program = INSTRUMENTS[player.instrument]
    controls = {0: bank, 7: player.volume, 10: player.pan, 91: player.reverb}
    for control, value in controls.items():
        yield 0, mido.Message("control_change", channel=channel, control=control, value=value)
    yield 0, mido.Message("program_change", channel=channel, program=program)


def pedal(player: Player, channel: int, beats: float) -> Iterator[Event]:
    """Lift and press the sustain pedal at each of its changes."""
    if player.pedal:
        for beat in range(0, round(beats), player.pedal):
            for delay, value in ((0, 0), (0.1, 127)):
                change = {"channel": channel, "control": 64, "value": value}
                yield beat + delay, mido.Message("control_change", **change)


def play(note: Note, piece: Piece, channel: int, chance: random.Random) -> Iterator[Event]:
    """Play a note with human timing and touch."""
    spread = piece.looseness * piece.tempo / 60  # beats
    shift = max(-1.5 * spread, min(1.5 * spread, chance.gauss(0, spread)))
    start = max(0, swung(note.start, piece) + shift)
    end = swung(note.start + note.length, piece) + shift
    velocity = max(1, min(127, round(note.velocity + chance.gauss(0, 4))))
    yield start, mido.Message("note_on", channel=channel, note=note.key, velocity=velocity)
    yield end, mido.Message("note_off", channel=channel, note=note.key)


def perform(piece: Piece, beats: float) -> Iterator[Event]:
    """Play all lines of the piece, each player on a channel of its own."""
    free_channels = (channel for channel in range(16) if channel != DRUM_CHANNEL)
    players = [(line, player) for line in piece.lines for player in line.players]
    for number, (line, player) in enumerate(players):
        chance = random.Random(f"{SEED} {piece.name} {number}")
        channel = DRUM_CHANNEL if line.drums else next(free_channels)
        yield from setup(player, channel)
        yield from pedal(player, channel, beats)
        for note in [*score_notes(line, piece.chords), *drum_notes(line)]:
            for interval in player.intervals:
                voice = replace(note, key=note.key + interval)
                yield from play(voice, piece, channel, chance)


def to_midi(piece: Piece) -> mido.MidiFile:
    """Write the piece as a MIDI file that lasts a little longer than the clip."""
    beats = (CLIP_SECONDS + 1) * piece.tempo / 60
    tempo = mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(piece.tempo))
    events = [(0, tempo), *perform(piece, beats), (beats, mido.MetaMessage("end_of_track"))]
    events.sort(key=lambda event: (event[0], event[1].type == "note_on"))
    midi = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT)
    track = midi.add_track(piece.name)
    now = 0
    for beat, message in events:
        tick = round(beat * TICKS_PER_BEAT)
        track.append(message.copy(time=tick - now))
        now = tick
    return midi


def render(midi: mido.MidiFile, soundfont: Path) -> Samples:
    """Play the MIDI file with fluidsynth; return the samples, one row per stereo frame."""
    with tempfile.TemporaryDirectory() as folder:
        score, audio = Path(folder, "score.mid"), Path(folder, "audio.wav")
        midi.save(score)
        options = ["-ni", "-q", "-r", str(SAMPLE_RATE), "-g", "0.4", "-T", "wav", "-O", "float"]
        command = ["fluidsynth", *options, "-F", str(audio), str(soundfont), str(score)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        samples: Samples = sf.read(audio, dtype="float32", always_2d=True)[0]
    return samples


def master(samples: Samples, drive: float) -> Samples:
    """Trim to the clip's length, saturate, fade out and bring the peak to full scale."""
    clip = samples[: CLIP_SECONDS * SAMPLE_RATE].copy()
    if drive:
        clip = np.tanh(clip * np.float32(10 ** (drive / 20) / np.abs(clip).max()))
    fade = round(FADE_SECONDS * SAMPLE_RATE)
    clip[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, np.newaxis]
    return clip / np.float32(np.abs(clip).max())


def write_vorbis(path: Path, samples: Samples) -> None:
    """Encode the samples as Ogg Vorbis, block by block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sf.SoundFile(
        path,
        "w",
        samplerate=SAMPLE_RATE,
        channels=samples.shape[1],
        format="OGG",
        subtype="VORBIS",
        compression_level=VORBIS_COMPRESSION,
    ) as file:
        for start in range(0, len(samples), WRITE_BLOCK):
            file.write(samples[start : start + WRITE_BLOCK])


def write_clip(path: Path, samples: Samples) -> None:
    """Encode the samples so that the peak of the decoded clip is at its level."""
    goal = np.float32(10 ** (PEAK_DBFS / 20))
    write_vorbis(path, samples * goal)
    reached = np.abs(sf.read(path, dtype="float32")[0]).max()
    write_vorbis(path, samples * goal * (goal / reached))


def is_soundfont(path: Path) -> bool:
    """Tell whether the file is an SF2 soundfont; fluidsynth would skip any other silently."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.read(12)
    return header.startswith(b"RIFF") and header.endswith(b"sfbk")


def main() -> None:
    """Make every clip."""
    parser = argparse.ArgumentParser(description="Render the genre example clips.")
    parser.add_argument("--soundfont", type=Path, default=DEFAULT_SOUNDFONT, help="SF2 file")
    parser.add_argument(
        "--out", type=Path, default=SCORES.parent, help="folder to hold the genre folders"
    )
    options = parser.parse_args()
    if shutil.which("fluidsynth") is None:
        sys.exit(f"fluidsynth is not installed. {INSTALL_HINT}")
    if not is_soundfont(options.soundfont):
        sys.exit(f"There is no SF2 soundfont at {options.soundfont}. {INSTALL_HINT}")
    for piece in read_pieces(SCORES):
        path = options.out / piece.genre / f"{piece.name}.ogg"
        write_clip(path, master(render(to_midi(piece), options.soundfont), piece.drive))
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
