"""Where the frames of a recording belong: by their time stamps, with silence in between."""

from dataclasses import dataclass, field

from app.decoding.errors import CorruptAudioError
from app.decoding.source import TOLERATED_SECONDS

MAX_UNDECODABLE = 0.1
"""fraction of a recording that may be undecodable, and is silence then"""
LATEST_START_SECONDS = 600.0
"""A recording may begin late. Beyond this its time stamps are those of a stream of which it is a
part, and its time begins with it."""


@dataclass
class Silence:
    """The silence of one kind that was put in."""

    samples: int = 0
    first: int | None = None
    """sample where it begins first"""

    def add(self, samples: int, position: int) -> None:
        """Count so many samples from `position` on."""
        if samples > 0:
            self.samples += samples
            self.first = position if self.first is None else self.first


@dataclass
class Timeline:
    """The time of a recording as its frames are decoded, in samples."""

    sample_rate: int
    """Hz"""
    jitter_seconds: float
    """by which time stamps may be late; what is missing adds up until it is more"""
    position: int = 0
    """samples so far, sound and silence"""
    gaps: Silence = field(default_factory=Silence)
    undecodable: Silence = field(default_factory=Silence)
    _start: int = 0
    """`position` where the link begins that is decoded"""
    _end: int | None = None
    """`position` where it ends, as it declares; time stamps beyond are not believed"""
    _offset: int | None = None
    """from the link's time stamps to `position`; None: as the first of them says"""
    _last_stamp: int = 0
    _pending: int = 0
    """samples that could not be decoded since the last frame that could"""

    def begin_link(self, declared_seconds: float | None, origin_seconds: float) -> None:
        """Begin the recording, or what was put behind it, whose time stamps begin anew.

        Args:
            declared_seconds: duration of the link, None where it is not told.
            origin_seconds: time stamp of its beginning.
        """
        self._start, self._pending = self.position, 0
        # Whatever was put behind another file follows it at once.
        self._offset = None if self._start else -round(origin_seconds * self.sample_rate)
        self._end = None
        if declared_seconds is not None:
            self._end = self._start + round(declared_seconds * self.sample_rate)

    @property
    def missing_seconds(self) -> float:
        """How much of what the link declares was not there."""
        return 0.0 if self._end is None else (self._end - self.position) / self.sample_rate

    @property
    def is_pending(self) -> bool:
        """Whether something could not be decoded since the last frame that could."""
        return self._pending > 0

    @property
    def link_seconds(self) -> float:
        """Duration of the link so far."""
        return (self.position - self._start) / self.sample_rate

    def skip(self, seconds: float) -> None:
        """Note that so much could not be decoded: it is silence if any sound follows."""
        self._pending += round(seconds * self.sample_rate)

    def place(self, seconds: float | None, samples: int) -> int:
        """Place the next frame, and return how many samples of silence stand before it.

        Args:
            seconds: its time stamp, None where there is none.
            samples: of the frame.
        """
        silence = self._pending if seconds is None else self._before(seconds)
        self._count(silence)
        self.position += silence + samples
        return silence

    def finish_link(self, cut_seconds: float = 0.0) -> int:
        """Return how many samples of silence stand at the link's end.

        Args:
            cut_seconds: of what could not be decoded at last, surely sound; as for the rest, it
                was if the link declares so.
        """
        declared = 0 if self._end is None else min(self._pending, self._end - self.position)
        silence = max(0, declared, round(cut_seconds * self.sample_rate))
        self._count(silence)
        self.position += silence
        return silence

    def require_mostly_decoded(self, format_: str) -> None:
        """Raise CorruptAudioError where too much was undecodable."""
        if self.undecodable.samples > MAX_UNDECODABLE * self.position:
            raise CorruptAudioError(
                f"the {format_} file is damaged at {self._seconds(self.undecodable.first or 0)}: "
                f"{self._seconds(self.undecodable.samples)} of its "
                f"{self._seconds(self.position)} cannot be decoded"
            )

    def warnings(self) -> list[str]:
        """Return a sentence for each kind of silence that was put in."""
        said = {
            "could not be decoded": self.undecodable,
            "are missing between the time stamps": self.gaps,
        }
        return [
            f"{self._seconds(silence.samples)} {what}, first at {self._seconds(silence.first)}, "
            "and are silence"
            for what, silence in said.items()
            if silence.first is not None
        ]

    def _before(self, seconds: float) -> int:
        stamp = round(seconds * self.sample_rate)
        if self._offset is None:
            self._offset = self._start - stamp
        elif stamp < self._last_stamp:  # they begin anew
            self._offset = self.position + self._pending - stamp
        if self.position == 0 and 0 < stamp + self._offset <= TOLERATED_SECONDS * self.sample_rate:
            self._offset = -stamp  # the delay of an encoder
        self._last_stamp = stamp
        gap = stamp + self._offset - self.position
        if self._end is not None and self.position + gap > self._end:
            gap = self._pending
            self._offset = self.position + gap - stamp
        if gap > round(self.jitter_seconds * self.sample_rate):
            return gap
        return max(0, min(gap, self._pending))

    def _count(self, silence: int) -> None:
        """Count silence that is put in now: first what is pending, then what nobody sent."""
        undecodable = min(silence, self._pending)
        self.undecodable.add(undecodable, self.position)
        self.gaps.add(silence - undecodable, self.position + undecodable)
        self._pending = 0

    def _seconds(self, samples: int) -> str:
        return f"{samples / self.sample_rate:.3f} s"
