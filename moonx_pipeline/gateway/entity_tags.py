"""Entity tags: which state of a resource a caller has (RFC 9110, 8.8.3)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_WEAK: Final = "W/"


def entity_tag(user_id: str, *state: object) -> str:
    """A tag that stands for a user's resource in a state; two users never share one.

    A cache may ask by the tag of the user who had the browser before.

    Args:
        user_id: Whose resource.
        state: All that its content follows from, in values whose ``repr`` tells them apart.
    """
    return f'"{blake2b(repr((user_id, *state)).encode(), digest_size=12).hexdigest()}"'


def weak_entity_tag(version: int, user_id: str, *state: object) -> str:
    """The same for an answer whose bytes differ each time, as one with the time of day does; it shows the version."""
    return f'{_WEAK}"{version}-{entity_tag(user_id, version, *state)[1:]}'


def names(header: str, tag: str, *, weakly: bool = False) -> bool:
    """Whether a header's list of tags contains this one.

    Args:
        header: The value of ``If-Match`` or ``If-None-Match``; ``*`` matches any.
        tag: The tag of the present state.
        weakly: Whether weak tags count: they do for ``If-None-Match`` (RFC 9110, 13.1.2), and not for ``If-Match``
            (13.1.1).
    """
    tags = {part.strip() for part in header.split(",")}
    if "*" in tags:
        return True
    if weakly:
        return tag.removeprefix(_WEAK) in {given.removeprefix(_WEAK) for given in tags}
    return tag in tags and not tag.startswith(_WEAK)
