"""Measures the service's speed, and its behaviour under faults, on real server processes.

`make bench`, `make faults`, `make soak` and `make dashboard` run it; docs/performance.md and
docs/reliability.md hold the results.
"""
