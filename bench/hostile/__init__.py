"""Attacks by one anonymous client, on real servers that honest clients ask meanwhile."""
