"""`POST /hf/{task}`: audio classification as Hugging Face's clients ask for it."""

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from app.api import parameters, problems, uploads
from app.api.state import ServiceDependency
from earshot.schemas import Probability
from app.inference.recognition import Wanted

router = APIRouter(tags=["classify"])

_JSON = "application/json"
# As many as the pipeline `audio-classification` of the library transformers answers with.
_TOP_K = 5
# What the parameters and the syntax around them may take beside the recording.
_ENVELOPE_BYTES = 64 * 1024


def _decode(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError) as error:
        raise ValueError("should be a recording in base64") from error


class Parameters(BaseModel):
    """How the answer shall look."""

    top_k: int = Field(default=_TOP_K, ge=1, le=100, description="labels in the answer")
    function_to_apply: Literal["softmax"] = Field(
        default="softmax", description="the scores are calibrated probabilities, no others"
    )


class Question(BaseModel):
    """A recording with parameters."""

    inputs: Annotated[bytes, BeforeValidator(_decode)] = Field(description="a file, in base64")
    parameters: Parameters = Parameters()


class LabelScore(BaseModel):
    """One label and how probable it is."""

    label: str = Field(examples=["siren"])
    score: Probability = Field(examples=[0.97])


# Four milliseconds, as a WAV.
_SQUARE_WAVE = (
    "UklGRkQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YSAAAADAwMDAQEBAQMDAwMBAQEBAwMDAwEBAQEDAwMDA"
    "QEBAQA=="
)
_QUESTION = {
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
            "schema": _QUESTION,
            "example": {"inputs": _SQUARE_WAVE, "parameters": {"top_k": 2}},
        },
    },
}


@router.post(
    "/hf/{task}",
    openapi_extra={"requestBody": _BODY},
    responses=problems.of_a_checkpoint(*problems.OF_A_BODY),
)
async def huggingface(
    request: Request,
    service: ServiceDependency,
    task: parameters.Task,
    window: parameters.Window = "hann",
) -> list[LabelScore]:
    """Rank the labels of a recording for `InferenceClient.audio_classification`.

    Give the client this address as its model. The recording is the body, or, with parameters,
    the `inputs` of a JSON object.
    """
    limit = service.settings.max_upload_bytes
    with service.admitted() as place:
        classifier = await service.models.get(task, window)
        if uploads.media_type(request) == _JSON:
            body = await uploads.read_body(request, place, _base64_size(limit) + _ENVELOPE_BYTES)
            question = await service.compute(_read_question, body, limit)
            data, top_k = question.inputs, question.parameters.top_k
        else:
            # The client names no content type for bytes that came without a file name.
            data, top_k = await uploads.read_body(request, place, limit), _TOP_K
        work = service.recognise(classifier, data, Wanted(top_k))
        answer = await service.answer(request, work)
    return [LabelScore(label=entry.label, score=entry.probability) for entry in answer.ranked]


def _read_question(body: bytes, limit: int) -> Question:
    try:
        question = Question.model_validate_json(body)
    except ValidationError as error:
        # Without the input: it would be the whole recording.
        details = error.errors(include_input=False, include_url=False, include_context=False)
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in details]
        ) from error
    if len(question.inputs) > limit:
        raise uploads.too_large(limit)
    return question


def _base64_size(size: int) -> int:
    return (size + 2) // 3 * 4
