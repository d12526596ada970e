import io

import numpy as np
from PIL import Image

from app.rendering.figures import draw_activation_map
from app.rendering.spectrogram import RenderOptions


def draw(class_map: np.ndarray, db: np.ndarray) -> np.ndarray:
    picture = draw_activation_map(
        db.astype(np.float32),
        class_map.astype(np.float32),
        stride=32,
        times=np.arange(db.shape[1]) / 50,
        frequencies=np.geomspace(100, 8000, db.shape[0]),
        title="it",
        options=RenderOptions(width=800, height=400),
    )
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    assert pixels.shape == (400, 800, 3)
    # Without what is written around it, and without the colour bar.
    return pixels[40:340, 80:680]


def test_red_speaks_for_and_blue_against_where_the_map_says() -> None:
    class_map = np.zeros((2, 5))
    class_map[1, 1], class_map[0, 3] = 4.0, -4.0
    pixels = draw(class_map, np.tile(np.arange(129.0), (64, 1)))
    redness = pixels[:, :, 0] - pixels[:, :, 2]
    row, column = np.unravel_index(redness.argmax(), redness.shape)
    assert row < 150  # the upper row of places
    assert abs(column / 600 - 1 / 4) < 0.05
    row, column = np.unravel_index(redness.argmin(), redness.shape)
    assert row > 200
    assert abs(column / 600 - 3 / 4) < 0.05


def test_the_spectrogram_is_grey_where_the_map_says_nothing() -> None:
    pixels = draw(np.zeros((2, 5)), np.tile(np.arange(129.0), (64, 1)))
    assert np.ptp(pixels, axis=2).max() <= 2
    assert np.all(np.diff(pixels[150, ::50, 0]) > 0)  # louder is brighter
