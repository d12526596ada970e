"""The names of the analysis windows that Earshot compares."""

from typing import Literal, get_args

WindowName = Literal["hann", "hamming", "rectangular"]
WINDOWS: tuple[WindowName, ...] = get_args(WindowName)
