"""Give memory back to the system that uploads took."""

import asyncio
import ctypes

from app.api.admission import resident_bytes

_EVERY_SECONDS = 5.0
# Grown by less, there is nothing to give back that is worth the while.
_LEAST_BYTES = 16 * 1024 * 1024


async def trim_memory() -> None:
    """Have glibc give back what it keeps, whenever the process has grown; for ever.

    What was freed between two pieces that are still in use stays with the process otherwise: after
    many uploads at a time, more than they took. Elsewhere than on Linux with glibc, do nothing.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    least = resident_bytes()
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        if resident_bytes() > least + _LEAST_BYTES:
            await asyncio.to_thread(trim, 0)
            least = resident_bytes()
        least = min(least, resident_bytes())
