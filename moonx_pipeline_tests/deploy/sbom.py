"""What the product is made of, as CycloneDX: ``python -m moonx_pipeline_tests.deploy.sbom FOLDER`` writes two files.

Both are made from the locks, so they say what the image is built of. npm's own ``npm sbom --omit dev`` leaves out what
a tool of the development needs, too, such as React.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from moonx_pipeline import __version__
from moonx_pipeline_tests.deploy.tools import ROOT

PYTHON, PAGE = "python.cdx.json", "page.cdx.json"


class Package(NamedTuple):
    """A package of the page, as its lock has it."""

    name: str
    version: str
    license: str | None
    integrity: str


def locked_requirements() -> dict[str, str]:
    """Versions of all that the program needs, by name."""
    return dict(re.findall(r"^([\w.-]+)==([^ ;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def page_packages() -> Iterator[Package]:
    """What is built into the page: no tool of its development."""
    locked: dict[str, dict[str, Any]] = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    for place, entry in locked.items():
        name = place.rpartition("node_modules/")[2]
        if place.startswith("node_modules/") and not any(entry.get(kind) for kind in ("dev", "devOptional", "link")):
            yield Package(name, entry["version"], entry.get("license"), entry["integrity"])


def write(folder: Path) -> None:
    """Writes both lists."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            Path(sys.executable).parent / "cyclonedx-py", "requirements", ROOT / "requirements.lock",
            "--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--short-PURLs", "--validate",
            "-o", folder / PYTHON,
        ],
        check=True,
        stderr=subprocess.DEVNULL,  # it misses a graph of dependencies, which a list of requirements has not
    )  # fmt: skip
    (folder / PAGE).write_text(JsonV1Dot6(_page()).output_as_string(indent=2))


def _page() -> Bom:
    root = Component(name="moonx-portfolio-page", version=__version__, type=ComponentType.APPLICATION)
    bom = Bom(components=[_component(package) for package in page_packages()])
    bom.metadata.component = root
    bom.register_dependency(root, bom.components)
    return bom


def _component(package: Package) -> Component:
    scope, _, name = package.name.rpartition("/")
    url = PackageURL("npm", scope or None, name, package.version)
    algorithm, _, digest = package.integrity.partition("-")
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        licenses=[LicenseFactory().make_from_string(package.license)] if package.license else [],
        hashes=[
            HashType(
                alg=HashAlgorithm(algorithm.upper().replace("SHA", "SHA-")), content=base64.b64decode(digest).hex()
            )
        ],
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
