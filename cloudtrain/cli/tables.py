"""Tables: drawn on a terminal, plain columns everywhere else."""

import sys
from collections.abc import Sequence

from .render import answer, clean, is_terminal

_GAP = "  "


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print rows below headers; the columns named in `right` are aligned there."""
    if not rows:
        return
    if is_terminal(sys.stdout):
        _drawn(headers, rows, right)
    else:
        _plain(headers, rows, right)


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line; pairs without a value are left out."""
    told = [(name, value) for name, value in rows if value]
    width = max((len(name) for name, _ in told), default=0)
    for name, value in told:
        answer(f"{name:<{width}}{_GAP}{value}")


def _plain(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    lines = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        cells = [
            cell.rjust(width) if header in right else cell.ljust(width)
            for header, cell, width in zip(headers, line, widths, strict=True)
        ]
        answer(_GAP.join(cells).rstrip())


def _drawn(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    # Rich is loaded here and not above: most verbs draw nothing.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for header in headers:
        drawn.add_column(header, justify="right" if header in right else "left", overflow="fold")
    for row in rows:
        # As Text a cell is data: what looks like markup in it stays what it is.
        drawn.add_row(*(Text(clean(cell)) for cell in row))
    Console(file=sys.stdout, highlight=False).print(drawn)
