"""What a check found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a doctor's report.

    Attributes:
        ok: true when nothing need be done.
        subject: what was looked at ("credentials").
        message: what was found.
        hint: what to type when it is not well.
    """

    ok: bool
    subject: str
    message: str
    hint: str = ""
