"""Reading wrk's reports."""

import pytest

from bench.wrk import WrkReport, parse_report

REPORT = """\
  Latency Distribution
     50%    1.56s 
     75%    1.62s 
     99%  843.20ms
  45 requests in 3.03s, 8.53KB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 10
Requests/sec:     14.86
"""  # noqa: W291  # as wrk writes it


def test_a_report_is_read() -> None:
    assert parse_report(REPORT) == WrkReport(14.86, p50_ms=1560.0, p99_ms=843.2, errors=17)


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(ValueError, match="not a report of wrk"):
        parse_report("unable to connect")
