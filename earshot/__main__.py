"""`python -m earshot`: the command line."""

from earshot.cli import main

main()
