"""What a machine wrote, made harmless for a terminal: colours and progress bars pass, nothing else steers it.

A terminal obeys what it is shown: sequences set its title, fill the clipboard, hide or rewrite what stands above. A machine
may have been taken over, so of its log only text passes, line ends, tab, carriage return, backspace, colours (`ESC [ … m`) and
"erase the rest of the line" (`ESC [ … K`).
"""

import re

_LONGEST_SEQUENCE = 4096
"""Bytes of a sequence that has not ended after which it counts as none."""

_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erasing, modes
    rb"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # strings: title, clipboard, device control
    rb"|[ -/]*[0-OQ-WYZ\\`-~]"  # all others are short
    rb")"
)
_PASSES = re.compile(rb"\x1b\[[0-9;:]*[mK]")
_CONTROLS = re.compile(rb"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")


class Harmless:
    """Takes bytes in pieces cut anywhere and gives back those that may be shown."""

    def __init__(self) -> None:
        self._held = b""

    def passed(self, chunk: bytes) -> bytes:
        """Return what of the next bytes may be shown; a sequence that is not whole yet is held back."""
        text, self._held = self._held + chunk, b""
        shown = []
        at = 0
        while (escape := text.find(b"\x1b", at)) >= 0:
            shown.append(_CONTROLS.sub(b"", text[at:escape]))
            found = _SEQUENCE.match(text, escape)
            if found is not None:
                shown.append(found[0] if _PASSES.fullmatch(found[0]) else b"")
                at = found.end()
            elif len(text) - escape < _LONGEST_SEQUENCE:
                self._held = text[escape:]
                return b"".join(shown)
            else:
                at = escape + 1
        shown.append(self._end(text[at:]))
        return b"".join(shown)

    def _end(self, rest: bytes) -> bytes:
        # The first byte of a control written in two may be the last of this piece.
        if rest.endswith(b"\xc2"):
            self._held = rest[-1:]
            rest = rest[:-1]
        return _CONTROLS.sub(b"", rest)
