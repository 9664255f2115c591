"""Entity tags: which version of a resource a caller has (RFC 9110, 8.8.3)."""

from __future__ import annotations


def entity_tag(version: object) -> str:
    """A version's strong tag, in the form of ``ETag``."""
    return f'"{version}"'


def names(header: str, tag: str, *, weakly: bool = False) -> bool:
    """Whether a header's list of tags contains this one.

    Args:
        header: The value of ``If-Match`` or ``If-None-Match``; ``*`` matches any.
        tag: The current version's strong tag.
        weakly: Whether a weak tag of the same name counts: it does for ``If-None-Match`` (RFC 9110, 13.1.2), and
            not for ``If-Match`` (13.1.1).
    """
    tags = {part.strip() for part in header.split(",")}
    return "*" in tags or tag in tags or (weakly and f"W/{tag}" in tags)
