"""The training package: corpora in, checkpoints out."""
