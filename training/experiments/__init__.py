"""Experiments: what windows, networks and kinds of music change."""
