"""Longer SQL statements, each in a file beside the module that uses it."""

from __future__ import annotations

from pathlib import Path


def sql_beside(module_file: str, name: str) -> str:
    """The statement in ``<name>.sql`` beside a module.

    Args:
        module_file: The module's ``__file__``.
        name: The file's name without its suffix.
    """
    return Path(module_file).with_name(f"{name}.sql").read_text("utf-8")
