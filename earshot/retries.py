"""When a request is repeated."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 60.0
# Clients that were refused at the same time shall not all come back at the same time.
_JITTER = 0.25
# The service has too much to do, or does too much for this client.
_BUSY = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


def wait_before(attempt: int, response: httpx.Response) -> float | None:
    """Return how long to wait before asking again, None where that would not help.

    Only a 503 or 429 with Retry-After says that a later request will be answered: without it
    something is missing, and will be. The wait is what the service says or, where that is
    longer, 0.1 s doubled with each attempt, and up to a quarter more.

    Args:
        attempt: number of the one that `response` answers, from 0.
        response: of the service.

    Returns:
        seconds; None also when the service says more than a minute.
    """
    if response.status_code not in _BUSY:
        return None
    retry_after = _seconds(response.headers.get("Retry-After", ""))
    if retry_after is None or retry_after > _LONGEST_WAIT_SECONDS:
        return None
    wait = max(retry_after, _FIRST_WAIT_SECONDS * 2.0**attempt)
    return wait * random.uniform(1, 1 + _JITTER)


def _seconds(retry_after: str) -> float | None:
    """Read Retry-After (RFC 9110, section 10.2.3): seconds, or a date."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if date.tzinfo is None:  # HTTP knows no time but GMT
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
