"""A recording in JSON, in bodies that are cut into chunks at any place."""

import base64
import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.json_recording import MAX_OTHER_BYTES, JsonRecordingError, JsonRecordingParser


def parse(body: bytes, cuts: Sequence[int] = ()) -> tuple[bytes, bytes]:
    parser = JsonRecordingParser("inputs", lambda _count: None)
    for start, end in pairwise([0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]):
        parser.feed(body[start:end])
    return parser.finish()


def escape(text: str, escaped: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if c in escaped else c for c in text)


@given(
    recording=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 900), max_size=12),
    others=st.dictionaries(
        st.text(max_size=5) | st.sampled_from(["inputs ", 'in"puts', "inputs\\"]),
        st.recursive(
            st.none() | st.text(max_size=8) | st.just("inputs") | st.integers(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("inputs"), inner),
            max_leaves=5,
        ),
        max_size=4,
    ).filter(lambda found: "inputs" not in found),
    first=st.booleans(),
    line=st.integers(1, 90),
    escaped=st.sampled_from(["", "/", "+=", "ABCabc"]),
    uri=st.booleans(),
)
def test_the_recording_is_what_was_sent_wherever_it_is_cut(
    recording: bytes,
    cuts: list[int],
    others: dict[str, object],
    first: bool,
    line: int,
    escaped: str,
    uri: bool,
) -> None:
    text = base64.b64encode(recording).decode()
    lines = "\r\n".join(text[start : start + line] for start in range(0, len(text), line))
    content = json.dumps(("data:audio/wav;base64," if uri else "") + lines)
    content = escape(content, escaped).replace("/", "\\/")
    entry, rest = f'"inputs" : {content}', json.dumps(others)[1:-1]
    body = "{" + (",".join(filter(None, [entry, rest] if first else [rest, entry]))) + "}"
    found, other = parse(body.encode(), cuts)
    assert found == recording
    assert json.loads(other) == {**others, "inputs": ""}


@pytest.mark.parametrize(
    "inputs", ["UklGR*", "UklGR", "UklGRg==UklG", "UklG=", "data:" + "x" * 300, "UklG\\", "Ukl-"]
)
@pytest.mark.parametrize("cut", range(0, 30, 3))
def test_what_is_no_base64_is_refused(inputs: str, cut: int) -> None:
    with pytest.raises(JsonRecordingError, match="inputs: should be a recording in base64"):
        parse(json.dumps({"inputs": inputs}).encode(), [cut])


@pytest.mark.parametrize(
    "beginning", [b'{"inputs":[', b"[[[[", b'{"a":"', b'{"inputs":"","a":{', b" "]
)
def test_little_is_held_beside_the_recording(beginning: bytes) -> None:
    parser = JsonRecordingParser("inputs", lambda _count: None)
    with pytest.raises(JsonRecordingError, match="more than 4096 bytes beside the recording"):
        parser.feed(beginning + b"[]," * 10_000_000)
    assert len(parser.finish()[1]) <= MAX_OTHER_BYTES


def test_bytes_are_counted_before_they_are_held() -> None:
    counts: list[int] = []

    def accept(count: int) -> None:
        counts.append(count)
        if sum(counts) > 100:
            raise OverflowError

    parser = JsonRecordingParser("inputs", accept)
    parser.feed(b'{"inputs":"' + base64.b64encode(bytes(99)))
    with pytest.raises(OverflowError):
        parser.feed(base64.b64encode(bytes(3)))
    assert parser.finish()[0] == bytes(99)
