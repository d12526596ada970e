"""Coverage-guided fuzzing of what reads the bytes of strangers; `make fuzz` runs all targets."""
