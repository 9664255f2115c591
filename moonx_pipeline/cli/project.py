"""Finds the project's folder, for commands that are run from anywhere."""

from __future__ import annotations

from pathlib import Path


def project_root() -> str:
    """The folder with dagster.yaml: the current one or one above the package; without it, the current one."""
    for folder in (Path.cwd(), *Path(__file__).parents):
        if (folder / "dagster.yaml").is_file():
            return str(folder)
    return str(Path.cwd())
