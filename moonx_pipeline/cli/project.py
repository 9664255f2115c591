"""Where the project is, for commands that are run from anywhere."""

from __future__ import annotations

from pathlib import Path


def project_root() -> str:
    """The folder that holds dagster.yaml: here, or above the package; the current one where there is none."""
    for folder in (Path.cwd(), *Path(__file__).parents):
        if (folder / "dagster.yaml").is_file():
            return str(folder)
    return str(Path.cwd())
