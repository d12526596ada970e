"""Parse and make trace ids (W3C Trace Context, level 1)."""

import re
import secrets
from dataclasses import dataclass

# Section 3.2: lower case alone; ids of nothing but zeros and version ff are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})"
    r"-(?!0{32})(?P<trace_id>[0-9a-f]{32})"
    r"-(?!0{16})(?P<parent_id>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class TraceParent:
    """Where in a trace the caller is."""

    trace_id: str
    """32 hexadecimal digits"""
    parent_id: str
    """of the caller's span, 16 hexadecimal digits"""
    sampled: bool
    """whether the caller may have recorded it"""


def parse_traceparent(header: str) -> TraceParent | None:
    """Read the header `traceparent`; None where it is not as the recommendation wants it.

    What a later version than 00 appends is passed over.
    """
    found = _TRACEPARENT.fullmatch(header)
    if found is None or (found["version"] == "00" and found["rest"] is not None):
        return None
    return TraceParent(found["trace_id"], found["parent_id"], bool(int(found["flags"], 16) & 1))


def new_trace_id() -> str:
    """Return the id of a new trace: 32 random hexadecimal digits, not all zero."""
    return f"{1 + secrets.randbelow(2**128 - 1):032x}"
