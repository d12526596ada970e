"""Check that every panel of the Grafana dashboard has data: Prometheus scrapes a loaded server.

python -m bench.dashboard

Needs `prometheus` on the PATH (Debian: apt-get install --no-install-recommends prometheus).
Grafana itself is not needed: its queries are taken from the dashboard and asked of Prometheus.
Ends with 1 where a panel is empty, with 3 where there is no Prometheus.
"""

import asyncio
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import recordings
from bench.load import Address, LoadStats, run_load
from bench.servers import free_port, start_ready, stop, wait_until
from bench.tables import markdown_table

DEPLOY = Path(__file__).parents[1] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "earshot.json"
_SCRAPE_SECONDS = 1
_SCRAPES = 8


def main() -> None:
    """Load a server, scrape it and ask every panel's queries."""
    if shutil.which("prometheus") is None:
        print("no prometheus: apt-get install --no-install-recommends prometheus", file=sys.stderr)
        sys.exit(3)
    with start_ready() as server, run_prometheus(server.address) as client:
        rows = asyncio.run(_query_under_load(server.address, client))
    print(markdown_table(rows))
    if empty := [row["panel"] for row in rows if not row["series"]]:
        sys.exit(f"empty: {', '.join(map(str, empty))}")


@contextmanager
def run_prometheus(target: Address) -> Iterator[httpx.Client]:
    """Run Prometheus with the deployment's configuration but for the target and the interval."""
    configuration = (DEPLOY / "prometheus.yml").read_text()
    for pattern, value in (
        (r"scrape_interval: \S+", f"scrape_interval: {_SCRAPE_SECONDS}s"),
        ("earshot:8000", "{}:{}".format(*target)),
    ):
        configuration, count = re.subn(pattern, value, configuration)
        if count != 1:
            raise ValueError(f"prometheus.yml has {count} times {pattern}")
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prometheus.yml").write_text(configuration)
        command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]
        process = subprocess.Popen(command)
        try:
            with httpx.Client(base_url=f"http://{address}", timeout=30) as client:
                wait_until(lambda: _is_ready(client))
                yield client
        finally:
            stop(process)


async def _query_under_load(server: Address, client: httpx.Client) -> list[dict[str, object]]:
    load = asyncio.create_task(
        run_load(server, recordings.request_mix(), LoadStats(), concurrency=8)
    )
    try:
        while (
            _scrapes(await asyncio.to_thread(query, client, "count_over_time(up[1h])")) < _SCRAPES
        ):
            await asyncio.wait([load], timeout=_SCRAPE_SECONDS)
        return await asyncio.to_thread(_panels, client)
    finally:
        load.cancel()


def query(client: httpx.Client, expression: str) -> list[Any]:
    """Return the series that a query of Grafana's answers now, without those that are NaN."""
    expression = expression.replace("$__rate_interval", f"{4 * _SCRAPE_SECONDS}s")
    response = client.get("/api/v1/query", params={"query": expression})
    response.raise_for_status()
    series = response.json()["data"]["result"]
    return [one for one in series if math.isfinite(float(one["value"][1]))]


def _panels(client: httpx.Client) -> list[dict[str, object]]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    rows = []
    targets = [(panel["title"], target) for panel in panels for target in panel["targets"]]
    for title, target in targets:
        series = query(client, target["expr"])
        values = [
            f"{', '.join(one['metric'].values()) or 'value'} {float(one['value'][1]):.3g}"
            for one in itertools.islice(series, 3)
        ]
        rows.append({"panel": title, "series": len(series), "latest": "; ".join(values)})
    return rows


def _scrapes(series: list[Any]) -> float:
    return float(series[0]["value"][1]) if series else 0


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
