"""Metrics, logs and traces of the service, without HTTP."""
