"""README's map of the package has the order of imports that import-linter enforces."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_map_lists_every_layer_in_the_order_of_imports() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    listed = re.findall(r"^  ([a-z_]+)(?:/|\.py) ", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert [f"moonx_pipeline.{name}" for name in reversed(listed)] == layers


def test_map_names_what_is_there() -> None:
    package = ROOT / "moonx_pipeline"
    parts = [path for path in package.iterdir() if path.is_dir() or path.suffix == ".py"]
    there = {path.stem for path in parts if not path.name.startswith(("__", "."))}
    listed = set(re.findall(r"^  ([a-z_]+)(?:/|\.py) ", (ROOT / "README.md").read_text(), re.MULTILINE))

    assert there == listed
