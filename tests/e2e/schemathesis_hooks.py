"""Recordings that the routes accept, which a schema cannot give; see `schemathesis.toml`."""

import base64

import schemathesis
from hypothesis import strategies

from app.api.uploads import RAW_CONTENT
from tests.support.sounds import RATE, encode, make

RECORDINGS = strategies.sampled_from(
    [
        encode(make("siren", 1, seconds=1)),
        encode(make("drilling", 2, seconds=0.1), RATE, "FLAC"),
        encode(make("car_horn", 3, seconds=9), RATE, "OGG"),
    ]
)

schemathesis.openapi.format("binary", RECORDINGS)
schemathesis.openapi.format("byte", RECORDINGS.map(lambda each: base64.b64encode(each).decode()))
for media_type in RAW_CONTENT:
    schemathesis.openapi.media_type(media_type, RECORDINGS)
