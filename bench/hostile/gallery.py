"""Attacks by pictures: each another one, and of a gallery into which anything was put."""

import os
from pathlib import Path

from bench.hostile.attack import Attack, Target, at_once, send_and_wait, send_in_turn
from bench.servers import Setting


async def pictures(target: Target) -> None:
    """Ten pictures of all genres at a time, no two the same, clients gone after a second."""
    widths = iter(range(201, 3000))

    async def client() -> None:
        path = f"/spectrogram?compare=genres&width={next(widths, 3000)}&height=2000"
        await send_and_wait(target, target.head("GET", path), 1)

    for _ in target.rounds():
        await at_once(10, client)


async def odd_gallery(target: Target) -> None:
    """A gallery with pipes, links to devices, a sparse WAV of 3 GB and 200 genres: all of it."""
    content = [
        target.head("GET", path)
        for path in (
            *("/genres?limit=100", "/spectrogram?compare=genres&width=3000&format=json"),
            *(f"/recording?genre=odd&track={track}" for track in range(1, 5)),
            *(f"/spectrogram?genre=odd&track={track}" for track in range(1, 5)),
        )
    ]
    await send_in_turn(target, content)


def _make_odd_gallery(folder: Path) -> dict[str, Setting]:
    odd = folder / "odd"
    odd.mkdir()
    os.mkfifo(odd / "a.wav")
    (odd / "b.wav").symlink_to("/dev/zero")
    (odd / "c.wav").symlink_to("/etc/passwd")
    with (odd / "d.wav").open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\xffWAVE")
        file.truncate(3_000_000_000)
    for number in range(200):
        genre = folder / f"genre {number}"
        genre.mkdir()
        (genre / "$.wav").mkdir()
    return {"genres_dir": folder}


GALLERY_ATTACKS = {
    "pictures": Attack(pictures),
    "odd gallery": Attack(odd_gallery, _make_odd_gallery),
}
