"""Every kind of problem that the service can answer with: the last part of its `type`."""

from dataclasses import dataclass
from http import HTTPStatus

_BAD = HTTPStatus.BAD_REQUEST
_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_MEDIA = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
_UNFIT = HTTPStatus.UNPROCESSABLE_ENTITY
_BUSY = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True)
class Kind:
    """What all problems of a kind share, and the detail of one of them."""

    status: HTTPStatus
    title: str
    example: str


KINDS = {
    "unsupported-format": Kind(
        _MEDIA,
        "The file is in no format that is accepted",
        "the codec ac3 is not accepted; send WAV, FLAC, AIFF, Ogg (Vorbis, Opus, FLAC), MP3, "
        "M4A/MP4 (AAC, ALAC), AAC and WebM",
    ),
    "unsupported-media-type": Kind(
        _MEDIA,
        "The request holds no recording in a way that is accepted",
        "send multipart/form-data with the recording in the field 'file', as "
        "`curl -F file=@clip.wav` does, or, to routes for a single recording, the recording as "
        "the body with the content type audio/* or application/octet-stream",
    ),
    "corrupt": Kind(
        _UNFIT,
        "The file is damaged or not whole",
        "the flac file is truncated: it declares 12.00 s of sound and holds 8.25 s",
    ),
    "undecodable": Kind(
        _UNFIT,
        "The decoder could not cope with the file",
        "decoding the file takes longer than the 30 s that it may",
    ),
    "empty": Kind(_UNFIT, "There is no sound", "the file is empty (0 bytes)"),
    "silent": Kind(
        _UNFIT,
        "The recording is silent",
        "the recording is silent: mixed to one channel it stays below -80 dBFS",
    ),
    "invalid-samples": Kind(
        _UNFIT,
        "The recording's samples are not numbers that sound can have",
        "the recording has samples that are NaN, infinite or far outside full scale "
        "(accepted: finite values within +-1e+06, full scale is +-1)",
    ),
    "recording-too-long": Kind(
        _UNFIT,
        "The recording is too long",
        "the recording is longer than the 3600 s that are accepted",
    ),
    "file-too-large": Kind(
        _LARGE,
        "The file is too large",
        "there are more than the 335544320 bytes that are accepted",
    ),
    "too-many-files": Kind(
        _LARGE,
        "The request has too many files",
        "at most 1000 files are accepted in one request; send the rest in another",
    ),
    "missing-file": Kind(
        _UNFIT,
        "The recording is missing",
        "send the recording in the multipart field 'file'; the request has 'audio'",
    ),
    "malformed-multipart": Kind(
        _BAD,
        "The multipart body is malformed",
        "the multipart body ends before its closing boundary",
    ),
    "incomplete-body": Kind(
        _BAD,
        "The request ended early",
        "the connection closed before the whole body was sent",
    ),
    "invalid-parameter": Kind(
        _UNFIT,
        "A parameter is missing or not accepted",
        "width: Input should be greater than or equal to 200, got '5'",
    ),
    "checkpoint-unavailable": Kind(
        _BUSY,
        "The checkpoint is not loaded",
        "the store has no checkpoint for emotion with the hann window; it has: none for this task",
    ),
    "not-ready": Kind(
        _BUSY,
        "No checkpoint is loaded",
        "the store models_store holds no checkpoint that can be loaded; GET /models tells why",
    ),
    "too-slow": Kind(
        HTTPStatus.REQUEST_TIMEOUT,
        "The request came too slowly",
        "4096 bytes of the body came in 20.5 s; send at least 8000 bytes a second, and pause no "
        "longer than 20 s in all",
    ),
    "draining": Kind(
        _BUSY,
        "The server is stopping",
        "no more requests shall be sent here; ask again, another may answer",
    ),
    "overloaded": Kind(
        _BUSY,
        "The server has more to do than it can",
        "32 requests are being answered already; try again in a moment",
    ),
    "deadline": Kind(
        _BUSY,
        "The answer was not ready in time",
        "there was no answer within 120 seconds; try again in a moment",
    ),
    "unauthorized": Kind(
        HTTPStatus.UNAUTHORIZED,
        "A key is needed",
        "send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
    ),
    "forbidden": Kind(
        HTTPStatus.FORBIDDEN,
        "The key is not for this",
        "the key lab has the scope use, /admin/ needs admin",
    ),
    "too-many-requests": Kind(
        HTTPStatus.TOO_MANY_REQUESTS,
        "This client asks too much",
        "you ask more often than is allowed; try again in 3 s",
    ),
    "checkpoint-refused": Kind(
        HTTPStatus.CONFLICT,
        "The store holds what cannot be served",
        "urban-sound/hann: model.onnx does not have the SHA-256 of its card",
    ),
    "not-found": Kind(HTTPStatus.NOT_FOUND, "Not Found", "Not Found"),
    "internal": Kind(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Internal Server Error",
        "the server failed to answer; the error is in its log",
    ),
}
