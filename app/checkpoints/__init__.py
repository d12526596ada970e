"""What a checkpoint is: its labels, its card, and the store on disk."""
