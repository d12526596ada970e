"""Attack real servers, each attack a server of its own; print a table of what they went through.

python -m bench.hostile [--seconds N] [NAME ...]

Exits with 1 where a figure is beyond its limit. Loopback only (Linux).
"""

import argparse
import sys

from bench.hostile.attack import Attack
from bench.hostile.clients import CLIENT_ATTACKS
from bench.hostile.gallery import GALLERY_ATTACKS
from bench.hostile.measure import observe
from bench.hostile.store import STORE_ATTACKS
from bench.hostile.uploads import UPLOAD_ATTACKS
from bench.tables import markdown_table

ATTACKS: dict[str, Attack] = {
    **UPLOAD_ATTACKS,
    **CLIENT_ATTACKS,
    **GALLERY_ATTACKS,
    **STORE_ATTACKS,
}


def main() -> None:
    """Run the attacks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(ATTACKS)} (all)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each attack")
    options = parser.parse_args()
    if unknown := set(options.names) - set(ATTACKS):
        parser.error(f"unknown: {', '.join(unknown)}")
    rows, broken = [], False
    for name in options.names or ATTACKS:
        found = observe(ATTACKS[name], options.seconds)
        rows.append(found.row(name))
        broken |= bool(found.broken_limits())
        print(f"{name}: {ATTACKS[name].what}\n{rows[-1]}", file=sys.stderr, flush=True)
    print(markdown_table([{"attack": name, "what": ATTACKS[name].what} for name in ATTACKS]))
    print()
    print(markdown_table(rows))
    sys.exit(broken)


if __name__ == "__main__":
    main()
