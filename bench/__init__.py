"""What measures speed; `make bench` runs all of it. Results are in docs/performance.md."""
