"""Groups of settings within a setting: one alone, one that may be left out, or a list of them."""

from typing import Any, get_args

from pydantic import BaseModel


def group_in(annotation: Any) -> type[BaseModel] | None:
    """Return the group of settings that an annotation holds, however it is wrapped; None when it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((group for part in get_args(annotation) if (group := group_in(part)) is not None), None)
