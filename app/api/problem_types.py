"""Every type of problem that the service answers with: the last part of its `type`."""

from dataclasses import dataclass
from http import HTTPStatus

_BAD_REQUEST = HTTPStatus.BAD_REQUEST
_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_MEDIA_TYPE = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
_UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True)
class ProblemType:
    """The status and title that all problems of a type share, and the detail of one of them."""

    status: HTTPStatus
    title: str
    example: str


PROBLEM_TYPES = {
    "unsupported-format": ProblemType(
        _MEDIA_TYPE,
        "The file is in no format that is accepted",
        "the codec ac3 is not accepted; send WAV, FLAC, AIFF, Ogg (Vorbis, Opus, FLAC), MP3, "
        "M4A/MP4 (AAC, ALAC), AAC and WebM",
    ),
    "unsupported-media-type": ProblemType(
        _MEDIA_TYPE,
        "The request holds no recording in a way that is accepted",
        "send multipart/form-data with the recording in the field 'file', as "
        "`curl -F file=@clip.wav` does, or, to routes for a single recording, the recording as "
        "the body with the content type audio/* or application/octet-stream",
    ),
    "corrupt": ProblemType(
        _UNPROCESSABLE,
        "The file is damaged or not whole",
        "the flac file is truncated: it declares 12.00 s of sound and holds 8.25 s",
    ),
    "undecodable": ProblemType(
        _UNPROCESSABLE,
        "The decoder could not cope with the file",
        "decoding the file takes longer than the 30 s that it may",
    ),
    "empty": ProblemType(_UNPROCESSABLE, "There is no sound", "the file is empty (0 bytes)"),
    "silent": ProblemType(
        _UNPROCESSABLE,
        "The recording is silent",
        "the recording is silent: mixed to one channel it stays below -80 dBFS",
    ),
    "invalid-samples": ProblemType(
        _UNPROCESSABLE,
        "The recording's samples are not numbers that sound can have",
        "the recording has samples that are NaN, infinite or far outside full scale "
        "(accepted: finite values within +-1e+06, full scale is +-1)",
    ),
    "recording-too-long": ProblemType(
        _UNPROCESSABLE,
        "The recording is too long",
        "the recording is longer than the 3600 s that are accepted",
    ),
    "file-too-large": ProblemType(
        _TOO_LARGE,
        "The file is too large",
        "there are more than the 335544320 bytes that are accepted",
    ),
    "too-many-files": ProblemType(
        _TOO_LARGE,
        "The request has too many files",
        "at most 1000 files are accepted in one request; send the rest in another",
    ),
    "missing-file": ProblemType(
        _UNPROCESSABLE,
        "The recording is missing",
        "send the recording in the multipart field 'file'; the request has 'audio'",
    ),
    "malformed-multipart": ProblemType(
        _BAD_REQUEST,
        "The multipart body is malformed",
        "the multipart body ends before its closing boundary",
    ),
    "incomplete-body": ProblemType(
        _BAD_REQUEST,
        "The request ended early",
        "the connection closed before the whole body was sent",
    ),
    "invalid-parameter": ProblemType(
        _UNPROCESSABLE,
        "A parameter is missing or not accepted",
        "width: Input should be greater than or equal to 200, got '5'",
    ),
    "checkpoint-unavailable": ProblemType(
        _UNAVAILABLE,
        "The checkpoint is not loaded",
        "emotion/hann: model.onnx does not have the SHA-256 of its card",
    ),
    "not-ready": ProblemType(
        _UNAVAILABLE,
        "No checkpoint is loaded",
        "the store models_store holds no checkpoint that can be loaded; GET /models tells why",
    ),
    "too-slow": ProblemType(
        HTTPStatus.REQUEST_TIMEOUT,
        "The request came too slowly",
        "4096 bytes of the body came in 20.5 s; send at least 8000 bytes a second, and pause no "
        "longer than 20 s in all",
    ),
    "draining": ProblemType(
        _UNAVAILABLE,
        "The server is stopping",
        "no more requests shall be sent here; ask again, another may answer",
    ),
    "overloaded": ProblemType(
        _UNAVAILABLE,
        "The server has more to do than it can",
        "32 requests are being answered already; try again in a moment",
    ),
    "deadline": ProblemType(
        _UNAVAILABLE,
        "The answer was not ready in time",
        "there was no answer within 120 seconds; try again in a moment",
    ),
    "unauthorized": ProblemType(
        HTTPStatus.UNAUTHORIZED,
        "A key is needed",
        "send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
    ),
    "forbidden": ProblemType(
        HTTPStatus.FORBIDDEN,
        "The key is not for this",
        "the key lab has the scope use, /admin/ needs admin",
    ),
    "too-many-requests": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "This client makes too many requests",
        "you make more requests than are allowed; try again in 3 s",
    ),
    "checkpoint-refused": ProblemType(
        HTTPStatus.CONFLICT,
        "The store holds what cannot be served",
        "urban-sound/hann: model.onnx does not have the SHA-256 of its card",
    ),
    "unknown-task": ProblemType(
        HTTPStatus.NOT_FOUND,
        "There is no such task",
        "there is no task 'whales'; there are: emotion, urban-sound",
    ),
    "not-found": ProblemType(HTTPStatus.NOT_FOUND, "Not Found", "Not Found"),
    "internal": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Internal Server Error",
        "the server failed to answer; the error is in its log",
    ),
}
