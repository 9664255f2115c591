"""The API as the page's types are made from it: ``make api-types`` writes it and the types anew."""

from __future__ import annotations

import json
from typing import Final

from moonx_pipeline.gateway.app import describe_api
from moonx_pipeline_tests.fixtures.dagster import ROOT

OPENAPI: Final = ROOT / "web" / "openapi.json"


def openapi_text() -> str:
    """What ``web/openapi.json`` ought to be."""
    return json.dumps(describe_api(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    OPENAPI.write_text(openapi_text())


if __name__ == "__main__":
    main()
