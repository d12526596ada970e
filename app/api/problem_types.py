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
    """What all problems of a type share, and the detail of one of them."""

    status: HTTPStatus
    title: str
    example: str
    """of a detail"""
    remedy: str
    """what to do about it"""


PROBLEM_TYPES = {
    "malformed-request": ProblemType(
        _BAD_REQUEST,
        "The request is not valid HTTP/1.1",
        "send one header Host, got none",
        "Send HTTP/1.1 as any HTTP client makes it; a body by hand, or a proxy between, is the "
        "usual cause.",
    ),
    "upgrade-required": ProblemType(
        HTTPStatus.UPGRADE_REQUIRED,
        "A WebSocket is spoken here",
        "this address is that of a WebSocket, which is opened with ws:// or wss://",
        "Open the address with a WebSocket client, or `Client.stream` of `earshot`.",
    ),
    "head-too-large": ProblemType(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The head of the request is too large",
        "the line and headers of the request have more than 65536 bytes, or there are more than "
        "200 headers",
        "Send fewer or shorter headers; cookies of other sites on the same host are the usual "
        "cause.",
    ),
    "unsupported-format": ProblemType(
        _MEDIA_TYPE,
        "The file is in no format that is accepted",
        "the codec ac3 is not accepted; send WAV, FLAC, AIFF, Ogg (Vorbis, Opus, FLAC), MP3, "
        "M4A/MP4 (AAC, ALAC), AAC and WebM",
        "Convert the file, for example with `ffmpeg -i FILE out.flac`.",
    ),
    "unsupported-media-type": ProblemType(
        _MEDIA_TYPE,
        "The request holds no recording in a way that is accepted",
        "send multipart/form-data with the recording in the field 'file', as "
        "`curl -F file=@clip.wav` does, or, to routes for a single recording, the recording as "
        "the body with the content type audio/* or application/octet-stream",
        "Send the recording in the form field `file`, or as the body with the content type "
        "application/octet-stream.",
    ),
    "corrupt": ProblemType(
        _UNPROCESSABLE,
        "The file is damaged or not whole",
        "the flac file is truncated: it declares 12.00 s of sound and holds 8.25 s",
        "Export or download the file anew and send all of it; what `ffmpeg -i FILE out.wav` can "
        "still read may be sent.",
    ),
    "undecodable": ProblemType(
        _UNPROCESSABLE,
        "The decoder could not cope with the file",
        "decoding the file takes longer than the 30 s that it may",
        "Convert the file to WAV or FLAC and send that.",
    ),
    "empty": ProblemType(
        _UNPROCESSABLE,
        "There is no sound",
        "the file is empty (0 bytes)",
        "Record again: the file holds no samples.",
    ),
    "silent": ProblemType(
        _UNPROCESSABLE,
        "The recording is silent",
        "the recording is silent: every channel stays below -80 dBFS",
        "Check the microphone and its level: there is nothing to draw or explain.",
    ),
    "invalid-samples": ProblemType(
        _UNPROCESSABLE,
        "The recording's samples are not numbers that sound can have",
        "the recording has samples that are NaN, infinite or far outside full scale "
        "(accepted: finite values within +-1e+06, full scale is +-1)",
        "Export the recording with samples of 16 or 24 bits, or of floats between -1 and 1.",
    ),
    "recording-too-long": ProblemType(
        _UNPROCESSABLE,
        "The recording is too long",
        "the recording is longer than the 3600 s that are accepted",
        "Cut the recording into parts, or have EARSHOT_MAX_SECONDS or EARSHOT_MAX_RENDER_SECONDS "
        "raised.",
    ),
    "file-too-large": ProblemType(
        _TOO_LARGE,
        "The file is too large",
        "there are more than the 335544320 bytes that are accepted",
        "Compress the recording (FLAC, Opus, MP3) or cut it, or have EARSHOT_MAX_UPLOAD_BYTES "
        "raised.",
    ),
    "too-many-files": ProblemType(
        _TOO_LARGE,
        "The request has too many files",
        "at most 1000 files are accepted in one request; send the rest in another",
        "Send the files in several requests, or have EARSHOT_MAX_BATCH_FILES raised.",
    ),
    "missing-file": ProblemType(
        _UNPROCESSABLE,
        "The recording is missing",
        "send the recording in the multipart field 'file'; the request has 'audio'",
        "Name the form field of the recording `file`.",
    ),
    "malformed-multipart": ProblemType(
        _BAD_REQUEST,
        "The multipart body is malformed",
        "the multipart body ends before its closing boundary",
        "Leave the body to an HTTP client: its content type has to hold the boundary that it uses.",
    ),
    "incomplete-body": ProblemType(
        _BAD_REQUEST,
        "The request ended early",
        "the connection closed before the whole body was sent",
        "Send the request again, whole; the connection or a proxy ended it.",
    ),
    "invalid-parameter": ProblemType(
        _UNPROCESSABLE,
        "A parameter is missing or not accepted",
        "width: Input should be greater than or equal to 200, got '5'",
        "Read `detail`: it names the parameter, and what is accepted.",
    ),
    "checkpoint-unavailable": ProblemType(
        _UNAVAILABLE,
        "The checkpoint is not loaded",
        "emotion/hann: model.onnx does not have the SHA-256 of its card",
        "Choose another checkpoint, or ask who runs the service: `GET /models` has the reason.",
    ),
    "not-ready": ProblemType(
        _UNAVAILABLE,
        "No checkpoint is loaded",
        "the store /srv/store does not exist; EARSHOT_MODELS_DIR names another",
        "Point EARSHOT_MODELS_DIR to a store with checkpoints, and start the service again or "
        "reload it.",
    ),
    "too-slow": ProblemType(
        HTTPStatus.REQUEST_TIMEOUT,
        "The request came too slowly",
        "4096 bytes of the body came in 20.5 s; send at least 8000 bytes a second, and pause no "
        "longer than 20 s in all",
        "Send without pauses, over a faster connection, or compress the recording.",
    ),
    "draining": ProblemType(
        _UNAVAILABLE,
        "The server is stopping",
        "no more requests shall be sent here; ask again, another may answer",
        "Send the request again after Retry-After; another process may answer it.",
    ),
    "overloaded": ProblemType(
        _UNAVAILABLE,
        "The server has more to do than it can",
        "32 requests are being answered already; try again in a moment",
        "Send the request again after Retry-After, and fewer at the same time.",
    ),
    "deadline": ProblemType(
        _UNAVAILABLE,
        "The answer was not ready in time",
        "there was no answer within 120 seconds; try again in a moment",
        "Send the request again after Retry-After, or a shorter recording.",
    ),
    "unauthorized": ProblemType(
        HTTPStatus.UNAUTHORIZED,
        "A key is needed",
        "send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
        "Send a key; who runs the service has them.",
    ),
    "forbidden": ProblemType(
        HTTPStatus.FORBIDDEN,
        "The key is not for this",
        "the key lab has the scope use, /admin/ needs admin",
        "Use a key of the scope that `detail` names.",
    ),
    "unknown-host": ProblemType(
        HTTPStatus.MISDIRECTED_REQUEST,
        "The service does not answer to this name",
        "this service does not answer to the name 'rebound.example'; ask by its address, as "
        "localhost, or have it named in EARSHOT_ALLOWED_HOSTS",
        "Ask by address or as localhost, or have the name added to EARSHOT_ALLOWED_HOSTS.",
    ),
    "cross-origin": ProblemType(
        HTTPStatus.FORBIDDEN,
        "A page of another site asked",
        "pages of other sites may not ask this service; have the site named in "
        "EARSHOT_CORS_ORIGINS",
        "Ask from the service's own page or a program, or have the site added to "
        "EARSHOT_CORS_ORIGINS.",
    ),
    "too-many-requests": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "This client makes too many requests",
        "you make more requests than are allowed; try again in 3 s",
        "Wait for as long as Retry-After says.",
    ),
    "checkpoint-refused": ProblemType(
        HTTPStatus.CONFLICT,
        "The store holds what cannot be served",
        "urban-sound/hann: model.onnx does not have the SHA-256 of its card",
        "Mend what `refused` names and reload again; meanwhile the old checkpoint answers.",
    ),
    "unknown-task": ProblemType(
        HTTPStatus.NOT_FOUND,
        "There is no such task",
        "there is no task 'whales'; there are: emotion, urban-sound",
        "Choose one of the tasks that `detail` and `GET /models` list.",
    ),
    "not-found": ProblemType(
        HTTPStatus.NOT_FOUND,
        "Not Found",
        "Not Found",
        "Check the address: `GET /docs` lists all of them.",
    ),
    "internal": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Internal Server Error",
        "the server failed to answer; the error is in its log",
        "Tell who runs the service the `request_id`; its log has the error.",
    ),
}

SERVED_TYPES = tuple(name for name in PROBLEM_TYPES if name != "not-found")
"""without HTTP's own, whose type is about:blank"""
