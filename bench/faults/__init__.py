"""Faults, inflicted on real servers under load."""
