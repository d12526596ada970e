"""Compiled networks and the answers they give."""
