"""Earshot, the service: what is in this clip?"""

from earshot import __version__ as __version__
