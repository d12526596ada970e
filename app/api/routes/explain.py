"""`POST /explain/{task}`: show which places of a spectrogram speak for a label."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray

from app.api import parameters, problems
from app.api.rendering import PICTURE_CONTENT, Height, Width, to_rounded_lists
from app.api.state import StateDependency
from app.api.uploads import RECORDING_BODY, accept_upload
from app.audio.log_mel import LogMelConfig, mel_frequencies, mel_power, power_to_db
from app.checkpoints.card import Card
from app.inference.classifier import ClassifyOptions
from app.inference.evidence import STRIDE
from app.inference.explanation import ClipExplanation, explain_clip, picture_config
from app.rendering.spectrogram import MEDIA_TYPES, PictureFormat, RenderOptions
from earshot.schemas import CheckpointRef, ExplainedClip, Explanation

router = APIRouter(tags=["classify"])

ExplanationFormat = Literal[PictureFormat, "json"]

_OK: dict[str, Any] = {
    "description": "The map over the clip's spectrogram, or the map's numbers",
    "model": Explanation,
    "content": PICTURE_CONTENT,
}


@router.post(
    "/explain/{task}",
    summary="Show what speaks for a label",
    response_class=Response,
    openapi_extra={"requestBody": RECORDING_BODY},
    responses={200: _OK, **problems.checkpoint_responses(*problems.FILE_PROBLEMS, "silent")},
)
async def explain(
    request: Request,
    state: StateDependency,
    key: parameters.ChosenCheckpoint,
    label: Annotated[
        str | None,
        Query(
            description="the label to explain; if not given, the most probable",
            examples=["siren", "angry"],
        ),
    ] = None,
    clip: Annotated[
        int | None,
        Query(
            ge=1,
            description="which clip of a longer recording, from 1: clips follow each other by half "
            "their length; if not given, the clip where the label is most probable",
        ),
    ] = None,
    answer_format: Annotated[
        ExplanationFormat,
        Query(alias="format", description="a picture, or the map's numbers"),
    ] = "png",
    width: Width = 1000,
    height: Height = 500,
) -> Response:
    """Show which places of the spectrogram speak for a label.

    Send one recording, as to `/classify`. The answer is a map of the evidence of each place for
    the label: a class activation map (Zhou et al., CVPR 2016) of a network that has one, by
    occlusion (Zeiler and Fergus, ECCV 2014) of another. It is coarse, one place for every 32 mel
    bands and 32 frames, and each place also depends on those around it. A network that reads
    waveforms has one row of places, a third of a second each.
    """
    async with accept_upload(request, state, state.picture_admission) as upload:
        classifier = await state.registry.get(key)
        card = classifier.card
        label_index = None if label is None else _label_index(card, label)
        # Before the upload: meanwhile the store may come to hold another checkpoint.
        mapper = await state.draw_in_thread(state.evidence_mappers.get, card)
        data = await upload.read_recording()
        async with upload.deadline():
            prediction = await classifier.predict_recording(
                data, ClassifyOptions(), reader=state.render_reader, keep_samples=True
            )
            explanation = await state.draw_in_thread(
                explain_clip,
                card,
                prediction,
                mapper,
                label=label_index,
                clip=None if clip is None else clip - 1,
            )
            if answer_format == "json":
                content = _describe(card, explanation).model_dump_json()
                return Response(content, media_type="application/json")
            options = RenderOptions(width, height, answer_format)
            picture = await state.draw_in_thread(_draw, card, explanation, options)
    return Response(picture, media_type=MEDIA_TYPES[answer_format])


def _label_index(card: Card, label: str) -> int:
    if label not in card.labels:
        raise problems.invalid_parameter(
            f"unknown label {label[:100]!r}; accepted: {', '.join(card.labels)}"
        )
    return card.labels.index(label)


def _describe(card: Card, explanation: ClipExplanation) -> Explanation:
    start = explanation.start / card.input.sample_rate
    picture = picture_config(card.input)
    rows = len(explanation.evidence.values)
    return Explanation(
        task=card.task,
        label=card.labels[explanation.label],
        probability=round(explanation.probability, 4),
        clip=ExplainedClip(
            clip=explanation.clip + 1,
            start=round(start, 3),
            end=round(start + card.input.clip_seconds, 3),
        ),
        times=to_rounded_lists(_frame_times(picture, explanation)[::STRIDE], 3),
        frequencies=to_rounded_lists(mel_frequencies(picture)[::STRIDE][:rows], 1),
        method=explanation.method,
        map=to_rounded_lists(explanation.evidence.values, 3),
        bias=round(explanation.evidence.bias, 3),
        checkpoint=CheckpointRef(task=card.task, name=card.name, version=card.version),
    )


def _draw(card: Card, explanation: ClipExplanation, options: RenderOptions) -> bytes:
    from app.rendering.figures import draw_evidence  # noqa: PLC0415  # loads matplotlib

    config, label = picture_config(card.input), card.labels[explanation.label]
    return draw_evidence(
        power_to_db(mel_power(explanation.samples, config), amin=config.amin, top_db=config.top_db),
        explanation.evidence.values,
        stride=STRIDE,
        times=_frame_times(config, explanation),
        frequencies=mel_frequencies(config),
        title=f"for (red) and against (blue) {label} ({explanation.probability:.0%})",
        options=options,
    )


def _frame_times(config: LogMelConfig, explanation: ClipExplanation) -> NDArray[np.float64]:
    """Return the times of the clip's frames, in seconds of the recording."""
    first_samples = np.arange(config.frames) * config.hop_length
    times: NDArray[np.float64] = (explanation.start + first_samples) / config.sample_rate
    return times
