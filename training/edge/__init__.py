"""Students: networks of some ten thousand weights, taught by a checkpoint."""
