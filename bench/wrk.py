"""Load on a server by wrk (https://github.com/wg/wrk), which costs little itself."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).with_name("post_clip.lua")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class WrkReport:
    """Throughput and latency of a server under load."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    """answers other than 2xx, and connections that failed"""


def measure(url: str, clip: Path, *, concurrency: int, seconds: int) -> WrkReport:
    """Post `clip` over and over from `concurrency` connections.

    Exits where wrk is not installed.
    """
    if shutil.which("wrk") is None:
        sys.exit("the benchmarks need wrk: apt-get install wrk, brew install wrk")
    output = subprocess.run(
        [
            *("wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "--timeout", "30s"),
            *("-s", str(_SCRIPT), url),
        ],
        env=os.environ | {"CLIP": str(clip)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return parse_report(output)


def parse_report(output: str) -> WrkReport:
    """Parse the report that wrk prints. Raises ValueError when it is none."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if rate is None:
        raise ValueError(f"not a report of wrk: {output!r}")
    statuses = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    sockets = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output
    )
    errors = int(statuses[1]) if statuses else 0
    errors += sum(map(int, sockets.groups())) if sockets else 0
    return WrkReport(float(rate[1]), _percentile(output, 50), _percentile(output, 99), errors)


def _percentile(output: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s) *$", output, re.MULTILINE)
    if found is None:
        raise ValueError(f"wrk reported no {percent}th percentile")
    return float(found[1]) * _UNITS[found[2]]
