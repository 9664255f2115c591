"""Figures, and how those of two revisions are compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moonx_pipeline.bench.figures import Figure, load, ratios, save
from moonx_pipeline.errors import OperatorError

MS, RATE = Figure("sync_ms", 12.5, "ms", "<= 20"), Figure("users_per_minute", 900.0, "users/min", "")


def test_a_saved_report_is_read_back_and_keeps_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    save(path, [MS, RATE], {"sync": {"busyPercentBefore": 3.0, "seconds": 4.2, "failed": None}})
    assert load(path) == [MS, RATE]
    report = json.loads(path.read_text())
    assert report["results"][0] == {"name": "sync_ms", "value": 12.5, "unit": "ms", "target": "<= 20"}
    assert report["settings"] == {"provider_latency_ms": 150, "database": "embedded PostgreSQL"}
    assert "cores" in report["machine"]


@pytest.mark.parametrize("content", ["", "[]", '{"results": [1]}', '{"results": [{"name": "x"}]}', None])
def test_a_file_that_is_no_report_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OperatorError, match=r"other\.json"):
        load(path)


def test_rounds_are_compared_in_pairs_and_told_by_their_median() -> None:
    ours = [[MS._replace(value=value), RATE] for value in (10.0, 30.0, 12.0)]
    theirs = [[MS._replace(value=value)] for value in (20.0, 30.0, 10.0)]
    (found,) = ratios(ours, theirs)
    assert (found.name, found.unit, found.ours, found.theirs) == ("sync_ms", "ms", 12.0, 20.0)
    assert found.ratios == (0.5, 1.0, 1.2)


def test_a_saved_report_is_compared_with_each_round() -> None:
    (found,) = ratios([[MS], [MS._replace(value=25.0)]], [[MS, RATE._replace(value=0.0)]])
    assert found.ratios == (1.0, 2.0)
