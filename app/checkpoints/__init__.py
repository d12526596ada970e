"""Checkpoints: their labels, their cards, and the store on disk."""
