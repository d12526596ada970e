"""Inflict faults on real servers under load; print a table for each.

python -m bench.faults [--requests N] [--bad-clients N] [NAME ...]
"""

import argparse
import inspect
from collections.abc import Callable

from bench.faults.bad_clients import drop, overload, slow
from bench.faults.load import Rows, Size
from bench.faults.processes import kill, stop
from bench.faults.storage import checkpoint, disk
from bench.tables import markdown_table

FAULTS: dict[str, Callable[[Size], Rows]] = {
    fault.__name__: fault for fault in (kill, disk, checkpoint, drop, slow, stop, overload)
}


def main() -> None:
    """Inflict the faults that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(FAULTS)} (all)")
    parser.add_argument("--requests", type=int, default=1000, help="by ordinary clients")
    parser.add_argument("--bad-clients", type=int, default=400, help="clients that misbehave")
    options = parser.parse_args()
    if unknown := set(options.names) - set(FAULTS):
        parser.error(f"unknown: {', '.join(unknown)}")
    for name in options.names or FAULTS:
        print(f"### {name}\n\n{inspect.getdoc(FAULTS[name])}\n")
        rows = FAULTS[name](Size(options.requests, options.bad_clients))
        print(markdown_table(rows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
