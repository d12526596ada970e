from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from earshot.retries import wait_before


def wait(retry_after: str | None, attempt: int = 0, status: int = 503) -> float | None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return wait_before(attempt, httpx.Response(status, headers=headers))


@pytest.mark.parametrize(
    ("said", "attempt", "shortest"),
    [("2", 0, 2), ("2", 3, 2), ("0", 0, 0.1), ("0", 1, 0.2), ("1", 4, 1.6), ("60", 0, 60)],
)
def test_the_wait_is_what_was_said_or_doubles(said: str, attempt: int, shortest: float) -> None:
    seconds = wait(said, attempt)
    assert seconds is not None
    assert shortest <= seconds <= 1.25 * shortest


def test_a_date_is_understood() -> None:
    seconds = wait(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True))
    assert seconds is not None
    assert 25 < seconds <= 30 * 1.25
    for past in ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
        assert wait(past) == pytest.approx(0.1, rel=0.25)


@pytest.mark.parametrize("said", [None, "", "soon", "-1", "1.5", "61", "86400"])
def test_without_a_time_in_the_next_minute_there_is_no_use_in_waiting(said: str | None) -> None:
    assert wait(said) is None


@pytest.mark.parametrize("status", [200, 401, 500, 502])
def test_only_a_busy_service_is_asked_again(status: int) -> None:
    assert wait("1", status=status) is None


def test_a_client_that_asks_too_much_waits_as_long_as_it_is_told() -> None:
    assert 3 <= (wait("3", status=429) or 0) <= 3 * 1.25
    assert wait(None, status=429) is None
