"""What every group of settings in a file has in common."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A group of settings: nothing unknown in it, and an empty value is the same as a line left out.

    `never_empty` names the exceptions: what would cost money if it were quietly left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    never_empty: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _leave_out_the_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        may_be_empty = cls.model_fields.keys() - cls.never_empty
        return {key: value for key, value in data.items() if value is not None or key not in may_be_empty}
