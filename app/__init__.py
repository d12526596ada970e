"""Earshot, the service: what is in this clip?"""

__version__ = "0.1.0"
