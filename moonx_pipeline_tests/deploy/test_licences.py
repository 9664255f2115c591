"""What the product is made of: the lists name all of it, and each licence is one that we may use, or is in NOTICE."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from moonx_pipeline_tests.deploy import sbom
from moonx_pipeline_tests.deploy.tools import ROOT

ALLOWED = {
    "MIT", "MIT-0", "ISC", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "CNRI-Python", "BSD",
    "BSD License", "3-Clause BSD License", "MIT License", "Apache Software License", "Public Domain",
    "Python Software Foundation License",
}  # fmt: skip
"""Licences that ask for no more than to be told of, by their SPDX name or the classifier of older packages."""

NOTICE = (ROOT / "NOTICE").read_text()
LOCK = (ROOT / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    sbom.write(folder)
    return folder


def _components(file: Path) -> dict[str, str]:
    listed = json.loads(file.read_text())
    assert listed["bomFormat"] == "CycloneDX"
    assert all(component["purl"].startswith("pkg:") for component in listed["components"])
    return {component["name"]: component["version"] for component in listed["components"]}


def test_the_list_of_the_program_names_every_locked_requirement(lists: Path) -> None:
    assert _components(lists / sbom.PYTHON) == sbom.locked_requirements()


def test_the_list_of_the_page_names_what_it_is_built_of_and_no_tool(lists: Path) -> None:
    wanted = json.loads((ROOT / "web" / "package.json").read_text())
    listed = _components(lists / sbom.PAGE)

    assert wanted["dependencies"].keys() <= listed.keys()
    assert not wanted["devDependencies"].keys() & listed.keys()


def _declared(name: str) -> set[str]:
    """The licences that a package names; those between which it lets one choose are one."""
    about = metadata(name)
    (stated, *_) = about.get_all("License-Expression", [""])
    if not stated:
        classifiers = [one for one in about.get_all("Classifier", []) if one.startswith("License")]
        (free, *_) = about.get_all("License", [""])
        stated = " AND ".join(one.rpartition(" :: ")[2] for one in classifiers) or free
    return {part.strip(" ()") for part in stated.split(" AND ")}


def _unknown(licences: set[str]) -> set[str]:
    return {one for one in licences if not any(choice in ALLOWED for choice in one.split(" OR "))}


@pytest.mark.parametrize("name", sorted(sbom.locked_requirements()))
def test_the_licence_of_a_requirement_is_allowed_or_in_the_notice(name: str) -> None:
    try:
        declared = _declared(name)
    except PackageNotFoundError:
        (line,) = re.findall(rf"^{re.escape(name)}==[^\\\n]*", LOCK, re.MULTILINE)
        assert Requirement(line).marker, f"{name} is for every machine, and not installed here"
        pytest.skip(f"{name} is not for this machine.")

    if _unknown(declared):
        assert re.search(rf"^  {re.escape(name)} ", NOTICE, re.MULTILINE), f"{name}: {', '.join(declared) or 'none'}"


def test_the_notice_names_nothing_that_is_no_longer_there() -> None:
    named = set(re.findall(r"^  ([\w.-]+)  +\S", NOTICE, re.MULTILINE))

    assert named
    assert named <= sbom.locked_requirements().keys()
    assert all(_unknown(_declared(name)) for name in named)


@pytest.mark.parametrize("package", list(sbom.page_packages()), ids=lambda package: package.name)
def test_the_licence_of_a_package_of_the_page_is_allowed(package: sbom.Package) -> None:
    said = package.license
    if said is None:
        file = next((ROOT / "web" / "node_modules" / package.name).glob("LICENSE*"), None)
        if file is None:
            pytest.skip("The page's packages are not installed here.")
        said = "MIT" if "Permission is hereby granted, free of charge" in file.read_text() else "unknown"

    assert not _unknown({said})
