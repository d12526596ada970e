"""What the service says of itself: metrics, logs and traces. Knows nothing of HTTP's machinery."""
