"""`POST /hf/{task}`: audio classification for Hugging Face's clients."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from app.api import parameters, problems, uploads
from app.api.state import StateDependency
from app.inference.classifier import ClassifyOptions
from earshot.schemas import Probability

router = APIRouter(tags=["classify"])

_JSON = "application/json"
# As many as the pipeline `audio-classification` of the library transformers answers with.
_TOP_K = 5


def _require_taken(text: Any) -> Any:
    if text != "":
        raise ValueError("should be a recording in base64")
    return text


class _KnownFields(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _require_known(cls, value: Any) -> Any:
        unknown = set(value) - set(cls.model_fields) if isinstance(value, dict) else ()
        for name in sorted(unknown):
            error = parameters.unknown_name("field", name, tuple(cls.model_fields))
            raise ValueError(error.problem.detail)
        return value


class Parameters(_KnownFields):
    """Parameters of the answer."""

    top_k: int = Field(default=_TOP_K, ge=1, le=100, description="labels in the answer")
    function_to_apply: Literal["softmax"] = Field(
        default="softmax", description="the scores are calibrated probabilities, no others"
    )


class HuggingFaceRequest(_KnownFields):
    """A recording with parameters."""

    inputs: Annotated[str, BeforeValidator(_require_taken)] = Field(
        description="a file, in base64, which was taken out"
    )
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
    "additionalProperties": False,
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
    summary="Rank labels for Hugging Face's clients",
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
    async with uploads.accept_upload(request, state) as upload:
        classifier = await state.registry.get(key)
        if uploads.media_type(request) == _JSON:
            data, rest = await upload.read_json("inputs")
            top_k = _parse_request(rest).parameters.top_k
        else:
            # The client names no content type for bytes that came without a file name.
            data, top_k = await upload.read_body(), _TOP_K
        async with upload.deadline():
            answer = await classifier.classify_recording(data, ClassifyOptions(top_k))
    state.metrics.count_prediction(*key, answer.label, answer.audio.seconds)
    return [LabelScore(label=entry.label, score=entry.probability) for entry in answer.ranked]


def _parse_request(body: bytes) -> HuggingFaceRequest:
    try:
        return HuggingFaceRequest.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        ) from error
