"""What commands print: no text from outside can steer the terminal that shows it.

Commands print by these functions only; a test looks for others.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from moonx_pipeline.domain.show import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_LAYOUT = "\n\t"
"""Characters of our own that place text; a value with one of them goes through ``visible`` before."""
_TABLE_WIDTH = 100
"""From here on a table of several columns can be read."""


def echo(text: str = "", *, err: bool = False) -> None:
    """Prints lines, with invisible characters spelled out."""
    click.echo(visible(text, keep=_LAYOUT), err=err)


def echo_exactly(text: str) -> None:
    """Prints data for a program or a file as it is. Never on a terminal."""
    click.echo(text, nl=False)


def open_console(*, err: bool = False, piped_width: int | None = None) -> Console:
    """A Rich console that takes strings as text and not as markup, and spells out invisible characters.

    Args:
        err: Prints to stderr.
        piped_width: The width if the output is no terminal.
    """
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
    from rich.segment import Segment

    class Visible:
        def __init__(self, inner: ConsoleRenderable) -> None:
            self._inner = inner

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for segment in console.render(self._inner, options):
                # Rich's own control codes are no text.
                yield segment if segment.control else Segment(visible(segment.text, keep=_LAYOUT), segment.style)

    class ShowVisible(RenderHook):
        def process_renderables(self, renderables: Iterable[ConsoleRenderable]) -> list[ConsoleRenderable]:
            return [Visible(renderable) for renderable in renderables]

    is_terminal = (sys.stderr if err else sys.stdout).isatty()
    made = Console(stderr=err, width=None if is_terminal else piped_width, markup=False, highlight=False, emoji=False)
    made.push_render_hook(ShowVisible())
    return made


def print_rows(console: Console, headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Prints rows as a table; on a narrow terminal as a paragraph each, so that no cell is cut or left out."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    def shown(cell: str | Text) -> Text:
        return Text(visible(cell)) if isinstance(cell, str) else cell  # before it is measured

    if console.width >= _TABLE_WIDTH:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*map(shown, row))
        console.print(table)
        return
    for first, *others in rows:
        console.print(shown(first))
        named = [
            Text.assemble((f"{heading} ", "dim"), shown(cell))
            for heading, cell in zip(headings[1:], others, strict=True)
            if cell
        ]
        console.print(Padding(Text(" · ").join(named), (0, 0, 0, 2)))
