"""What goes wrong, done on purpose to a real server; `make faults` and `make soak`.

Results are in docs/reliability.md. Linux only: it reads /proc and sends signals.
"""
