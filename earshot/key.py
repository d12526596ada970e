"""`earshot key`: make an API key."""

import argparse
import sys

from app.api.api_keys import KeysError, new_key


def run(options: argparse.Namespace) -> None:
    """Write a new key to stdout and its line for the service's file to stderr.

    Raises SystemExit with a message where the name will not do.
    """
    try:
        token, key = new_key(options.name, "admin" if options.admin else "use")
    except KeysError as error:
        sys.exit(f"earshot: {error}")
    sys.stdout.write(f"{token}\n")
    sys.stderr.write(f"{key.line}\n")
