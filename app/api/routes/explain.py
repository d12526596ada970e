"""`POST /explain/{task}`: what did the network listen to?"""

from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray

from app.api import parameters, problems
from earshot import schemas
from app.api.rendering import PICTURES, rounded
from app.api.state import ServiceDependency
from app.api.uploads import REQUEST_BODY, read_upload
from app.audio.log_mel import LogMelConfig, mel_frequencies, mel_power, power_to_db
from app.checkpoints.card import Card
from app.decoding.recording import AudioLimits, read_recording
from app.decoding.source import AudioOpener
from earshot.schemas import CheckpointRef
from app.inference.class_activation import STRIDE, Explainer, Explanation, explain_answer
from app.inference.classifier import Answer
from app.rendering.style import MEDIA_TYPES, PictureFormat

router = APIRouter(tags=["classify"])

_OK: dict[str, Any] = {
    "description": "The map over the clip's spectrogram, or the map's numbers",
    "model": schemas.Explanation,
    "content": PICTURES,
}


@router.post(
    "/explain/{task}",
    response_class=Response,
    openapi_extra={"requestBody": REQUEST_BODY},
    responses={200: _OK, **problems.of_a_checkpoint(*problems.OF_A_FILE, "silent")},
)
async def explain(
    request: Request,
    service: ServiceDependency,
    task: parameters.Task,
    window: parameters.Window = "hann",
    label: Annotated[
        str | None,
        Query(
            description="the label to explain; if not given, the answer",
            examples=["siren", "angry"],
        ),
    ] = None,
    clip: Annotated[
        int | None,
        Query(
            ge=1,
            description="which clip of a longer recording, from 1: clips follow each other by half "
            "their length; if not given, the clip that is most sure of the label",
        ),
    ] = None,
    shown_as: Annotated[
        Literal[PictureFormat, "json"],
        Query(alias="format", description="a picture, or the map's numbers"),
    ] = "png",
    width: Annotated[int, Query(ge=200, le=3000, description="pixels")] = 1000,
    height: Annotated[int, Query(ge=150, le=2000, description="pixels")] = 500,
) -> Response:
    """Show where in the spectrogram the network heard a label.

    Send one recording, as to `/classify`. The answer is a class activation map (Zhou
    et al., CVPR 2016): what each place says for the label. It is coarse, one place for every 32
    mel bands and 32 frames, and each place has heard something of those around it.
    """
    longest, bounds = service.settings.max_picture_seconds, service.settings.bounds
    with service.admitted() as place:
        classifier = await service.models.get(task, window)
        card = classifier.card
        index = None if label is None else _index(card, label)
        # Before the upload: meanwhile the store may come to hold another checkpoint.
        explainer = await service.compute(service.explainers.get, card)
        data = await read_upload(request, place, service.settings.max_upload_bytes)
        hear = partial(
            classifier.classify,
            data,
            max_seconds=longest,
            on_thread=service.compute,
            bounds=bounds,
        )
        hearing = service.decoding.with_ffmpeg(hear)
        answer = await service.answer(request, hearing)
        explain_ = partial(
            _explain,
            card,
            answer,
            explainer,
            data,
            bounds,
            index,
            None if clip is None else clip - 1,
        )
        explanation = await service.decoding.with_ffmpeg(partial(service.compute, explain_))
        if shown_as == "json":
            content = _describe(card, explanation).model_dump_json()
            return Response(content, media_type="application/json")
        picture = await service.compute(
            _draw, card, explanation, width=width, height=height, picture_format=shown_as
        )
    return Response(picture, media_type=MEDIA_TYPES[shown_as])


def _index(card: Card, label: str) -> int:
    if label not in card.labels:
        raise problems.invalid_parameter(
            f"unknown label {label!r}; accepted: {', '.join(card.labels)}"
        )
    return card.labels.index(label)


def _explain(
    card: Card,
    answer: Answer,
    explainer: Explainer,
    data: bytes,
    bounds: AudioLimits,
    label: int | None,
    clip: int | None,
    open_with_ffmpeg: AudioOpener,
) -> Explanation:
    samples = read_recording(
        data,
        sample_rate=card.input.sample_rate,
        max_seconds=answer.seconds,
        bounds=bounds,
        open_with_ffmpeg=open_with_ffmpeg,
    ).samples
    return explain_answer(card, answer, explainer, samples, label=label, clip=clip)


def _describe(card: Card, explanation: Explanation) -> schemas.Explanation:
    config = card.input
    start = explanation.start / config.sample_rate
    return schemas.Explanation(
        task=card.task,
        label=card.labels[explanation.label],
        probability=round(explanation.probability, 4),
        clip=schemas.ExplainedClip(
            clip=explanation.clip + 1,
            start=round(start, 3),
            end=round(start + config.clip_seconds, 3),
        ),
        times=rounded(_times(config, explanation)[::STRIDE], 3),
        frequencies=rounded(mel_frequencies(config)[::STRIDE], 1),
        map=rounded(explanation.map, 3),
        bias=round(explanation.bias, 3),
        checkpoint=CheckpointRef(task=card.task, window=config.window, version=card.version),
    )


def _draw(
    card: Card,
    explanation: Explanation,
    *,
    width: int,
    height: int,
    picture_format: PictureFormat,
) -> bytes:
    from app.rendering.activation_map import draw_explanation  # noqa: PLC0415  # see `look.show`

    config, label = card.input, card.labels[explanation.label]
    return draw_explanation(
        power_to_db(
            mel_power(explanation.samples, config),
            amin=config.amin,
            top_db=config.top_db,
        ),
        explanation.map,
        stride=STRIDE,
        times=_times(config, explanation),
        frequencies=mel_frequencies(config),
        title=f"for (red) and against (blue) {label} ({explanation.probability:.0%})",
        width=width,
        height=height,
        picture_format=picture_format,
    )


def _times(config: LogMelConfig, explanation: Explanation) -> NDArray[np.float64]:
    """When the clip's frames are, in seconds of the recording."""
    first_samples = np.arange(config.frames) * config.hop_length
    times: NDArray[np.float64] = (explanation.start + first_samples) / config.sample_rate
    return times
