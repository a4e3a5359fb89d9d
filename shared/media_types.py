"""Which format an answer is wanted in: ``?format=`` goes before ``Accept``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from shared.errors import InvalidRequest

Wanted = TypeVar("Wanted", bound=StrEnum)


def negotiated(
    asked: str | None,
    accept: str | None,
    formats: type[Wanted],
    accepted: Mapping[str, Wanted],
    what: str,
) -> Wanted:
    """The format of a request: what ``?format=`` says, or what ``Accept`` likes best, or the first.

    ``accepted`` maps media types, also those with a star, to formats; ``what`` names the thing.

    Raises:
        InvalidRequest: ``format_unknown``; ``asked`` is no format, or nothing that is accepted is.
    """
    names = ", ".join(formats)
    if asked is not None:
        if asked.lower() in set(formats):
            return formats(asked.lower())
        raise InvalidRequest(
            "format_unknown",
            f"{what} cannot be had as {asked[:40]!r}",
            remediation=f"Ask for one of: {names}.",
            field="format",
        )
    if accept is None or not accept.strip():
        return next(iter(formats))
    for media_type in _by_preference(accept):
        if media_type in accepted:
            return accepted[media_type]
    whole = ", ".join(media_type for media_type in accepted if "*" not in media_type)
    raise InvalidRequest(
        "format_unknown",
        f"none of what is accepted is a format of {what}: {accept[:80]!r}",
        remediation=f"Accept one of: {whole}.",
        field="Accept",
    )


def _by_preference(accept: str) -> list[str]:
    """Media types of an Accept header, best first; those with q=0 are left out."""
    weighted: list[tuple[float, str]] = []
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter.removeprefix("q="))
                except ValueError:
                    weight = 0.0
        if weight > 0:
            weighted.append((weight, media_type))
    # Sorting is stable: equal weights stay in the order in which they were written.
    return [media_type for _, media_type in sorted(weighted, key=lambda one: -one[0])]
