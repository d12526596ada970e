"""`traceparent` as the recommendation says it, section 3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.trace_context import TraceParent, new_trace_id, parse_traceparent

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=digits, max_size=digits)


def nonzero(digits: int) -> st.SearchStrategy[str]:
    return hexadecimal(digits).filter(lambda text: text.strip("0") != "")


@given(nonzero(32), nonzero(16), st.integers(0, 255))
def test_what_is_valid_is_read(trace_id: str, parent_id: str, flags: int) -> None:
    found = parse_traceparent(f"00-{trace_id}-{parent_id}-{flags:02x}")
    assert found == TraceParent(trace_id, parent_id, sampled=flags % 2 == 1)


@given(
    nonzero(2).filter(lambda version: version != "ff"),
    st.text(st.characters(max_codepoint=255)).map(lambda text: f"-{text}"),
)
def test_later_versions_may_append(version: str, rest: str) -> None:
    found = parse_traceparent(f"{version}-{TRACE}-{PARENT}-01{rest}")
    assert found == TraceParent(TRACE, PARENT, sampled=True)


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
        f"cc-{TRACE}-{PARENT}-01.what-the-future-will-be-like",
        f"ff-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f".0-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{TRACE}-{PARENT}-0A",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f" 00-{TRACE}-{PARENT}-01",
    ],
)
def test_what_is_not_valid_is_no_trace(header: str) -> None:
    assert parse_traceparent(header) is None


@given(st.text())
def test_any_text_is_read_or_refused(header: str) -> None:
    found = parse_traceparent(header)
    if found is not None:
        assert header[3:52] == f"{found.trace_id}-{found.parent_id}"


def test_new_ids_are_valid_and_differ() -> None:
    ids = {new_trace_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(parse_traceparent(f"00-{each}-{PARENT}-00") for each in ids)
