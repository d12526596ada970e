"""Frozen networks whose outputs are distilled into ours."""
