"""Earshot for those who use it: a client of the service, and the command line."""

DEFAULT_SERVER = "http://127.0.0.1:8000"
