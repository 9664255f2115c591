"""Text from outside in Dagster's Markdown."""

from __future__ import annotations

import re
import string
from typing import Final

from moonx_pipeline.domain.show import visible

_PUNCTUATION: Final = re.compile(f"[{re.escape(string.punctuation)}]")
# Renderers of GitHub's Markdown look for these in the text that is left once escapes are gone.
_LINK: Final = re.compile(r"(?<=www)(?=\.)|(?<=:)(?=//)|(?=@)", re.IGNORECASE)
_WORD_JOINER: Final = "\u2060"
"""Unicode's character without width at which no line is broken."""


def markdown_text(text: str) -> str:
    """A text that Markdown shows as it is, in one line, also in a cell of a table: no link, image, emphasis or HTML."""
    return _PUNCTUATION.sub(r"\\\g<0>", _LINK.sub(_WORD_JOINER, visible(" ".join(text.split()))))
