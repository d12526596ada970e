"""The process around the application: connections, workers and signals."""
