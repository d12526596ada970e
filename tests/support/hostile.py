"""`python -m tests.support.hostile`: send a real server the malformed files and the bombs.

Each request is timed, which no test does: clocks differ.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.servers import peak_memory
from tests.support.bombs import bombs, decodable
from tests.support.malformed import malformed_files
from tests.support.serving import ServerClient, serve
from tests.support.small_store import save_constant


def main() -> None:
    """Send them all, one after the other, and tell."""
    with tempfile.TemporaryDirectory() as folder:
        save_constant(Path(folder, "store"), "siren")
        with serve(models_dir=Path(folder, "store"), max_seconds=600) as client:
            _tell(client, "malformed", malformed_files())
            _tell(client, "bombs", bombs().items())
            _tell(client, "decodable", decodable().items())


def _tell(client: ServerClient, name: str, files: Iterable[tuple[str, bytes]]) -> None:
    kinds: Counter[str] = Counter()
    milliseconds = []
    for _, data in files:
        answer = client.post(
            "/classify/urban-sound", content=data, headers={"Content-Type": "audio/x"}
        )
        kind = "" if answer.is_success else answer.json()["type"].rpartition("/")[2]
        kinds[f"{answer.status_code} {kind}".strip()] += 1
        milliseconds.append(1000 * answer.elapsed.total_seconds())
    milliseconds.sort()
    lines = [
        f"{name}: {len(milliseconds)} files; "
        f"median {milliseconds[len(milliseconds) // 2]:.1f} ms, slowest {milliseconds[-1]:.0f} ms",
        *(f"  {count:5} {kind}" for kind, count in kinds.most_common()),
        f"  peak memory: service {client.peak_memory() / 1e6:.0f} MB, "
        f"decoders {[round(peak_memory(child) / 1e6) for child in client.children()]} MB",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
