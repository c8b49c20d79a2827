"""Checks that take the reader's own function: one for each exercise with a stub."""

from tvnet.course.checks.inputs import (
    candidates,
    last_state,
    second_stage,
    shared_images,
    to_square,
    union_of,
)
from tvnet.course.checks.learning import (
    mask_loss,
    overall_iou,
    precision_at,
    rate_at,
    shuffled,
    size_bin,
)
from tvnet.course.checks.model import (
    attention,
    coordinates_of,
    enriched,
    gated_detail,
    lstm_step,
    unshuffle,
)

__all__ = [
    "union_of",
    "shared_images",
    "last_state",
    "to_square",
    "candidates",
    "second_stage",
    "attention",
    "enriched",
    "coordinates_of",
    "lstm_step",
    "unshuffle",
    "gated_detail",
    "mask_loss",
    "rate_at",
    "shuffled",
    "size_bin",
    "overall_iou",
    "precision_at",
]
