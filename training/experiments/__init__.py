"""Experiments with windows and genres of music."""
