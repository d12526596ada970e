"""Earshot, the offline package: corpora in, checkpoints out."""
