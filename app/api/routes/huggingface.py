"""`POST /hf/{task}`: audio classification for Hugging Face's clients."""

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from app.api import parameters, problems, uploads
from app.api.state import StateDependency
from app.inference.classifier import ClassifyOptions
from earshot.schemas import Probability

router = APIRouter(tags=["classify"])

_JSON = "application/json"
# As many as the pipeline `audio-classification` of the library transformers answers with.
_TOP_K = 5
# Bytes of the parameters and the syntax around the recording.
_ENVELOPE_BYTES = 64 * 1024


def _decode(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError) as error:
        raise ValueError("should be a recording in base64") from error


class Parameters(BaseModel):
    """Parameters of the answer."""

    top_k: int = Field(default=_TOP_K, ge=1, le=100, description="labels in the answer")
    function_to_apply: Literal["softmax"] = Field(
        default="softmax", description="the scores are calibrated probabilities, no others"
    )


class HuggingFaceRequest(BaseModel):
    """A recording with parameters."""

    inputs: Annotated[bytes, BeforeValidator(_decode)] = Field(description="a file, in base64")
    parameters: Parameters = Parameters()


class LabelScore(BaseModel):
    """One label and its probability."""

    label: str = Field(examples=["siren"])
    score: Probability = Field(examples=[0.97])


# Four milliseconds, as a WAV.
_SQUARE_WAVE = (
    "UklGRkQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YSAAAADAwMDAQEBAQMDAwMBAQEBAwMDAwEBAQEDAwMDA"
    "QEBAQA=="
)
_REQUEST_SCHEMA = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "inputs": {
            "type": "string",
            "format": "byte",
            "contentEncoding": "base64",
            "description": "the recording",
        },
        "parameters": Parameters.model_json_schema(),
    },
}
_BODY = {
    "required": True,
    "content": {
        **uploads.RAW_CONTENT,
        _JSON: {
            "schema": _REQUEST_SCHEMA,
            "example": {"inputs": _SQUARE_WAVE, "parameters": {"top_k": 2}},
        },
    },
}


@router.post(
    "/hf/{task}",
    openapi_extra={"requestBody": _BODY},
    responses=problems.checkpoint_responses(*problems.BODY_PROBLEMS),
)
async def huggingface(
    request: Request, state: StateDependency, key: parameters.ChosenCheckpoint
) -> list[LabelScore]:
    """Rank the labels of a recording for `InferenceClient.audio_classification`.

    Give the client this address as its model. The recording is the body, or, with parameters,
    the `inputs` of a JSON object.
    """
    limit = state.settings.max_upload_bytes
    async with uploads.accept_upload(request, state) as upload:
        classifier = await state.registry.get(key)
        if uploads.media_type(request) == _JSON:
            body = await upload.read_body(_base64_size(limit) + _ENVELOPE_BYTES)
            parsed = await state.run_in_thread(_parse_request, body, limit)
            data, top_k = parsed.inputs, parsed.parameters.top_k
        else:
            # The client names no content type for bytes that came without a file name.
            data, top_k = await upload.read_body(), _TOP_K
        async with upload.deadline():
            answer = await classifier.classify_recording(data, ClassifyOptions(top_k))
    state.metrics.count_prediction(*key, answer.label, answer.audio.seconds)
    return [LabelScore(label=entry.label, score=entry.probability) for entry in answer.ranked]


def _parse_request(body: bytes, limit: int) -> HuggingFaceRequest:
    try:
        parsed = HuggingFaceRequest.model_validate_json(body)
    except ValidationError as error:
        # Without the input: it would be the whole recording.
        details = error.errors(include_input=False, include_url=False, include_context=False)
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in details]
        ) from error
    if len(parsed.inputs) > limit:
        raise uploads.file_too_large(limit)
    return parsed


def _base64_size(size: int) -> int:
    return (size + 2) // 3 * 4
