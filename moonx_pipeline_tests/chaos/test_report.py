"""What rounds and soaks are told as."""

import json
from pathlib import Path

from moonx_pipeline_tests.chaos import report
from moonx_pipeline_tests.chaos.rounds import Round, Violated
from moonx_pipeline_tests.chaos.soak import Sample, growth

WELL = Round(("relay frozen",), (), 4.2, 9.9, {})
ILL = Round(("relay frozen",), (Violated("limits_and_breakers_hold", ("a", "b")),), None, 3.0, {"relay": 1})


def test_the_table_has_a_row_a_fault_with_its_violations_and_times() -> None:
    assert report.rows([WELL, ILL]) == [
        ("relay frozen", "2", "2", "limits_and_breakers_hold", "4, never", "6, 10"),
    ]
    assert len({len(line.rstrip()) for line in report.table([WELL]).splitlines()}) == 2


def test_a_shared_round_counts_for_each_of_its_faults_unless_it_is_violated() -> None:
    names = ("relay frozen", "redis emptied")

    assert report.rows([WELL._replace(faults=names), ILL._replace(faults=names)]) == [
        ("relay frozen", "1", "0", "-", "4", "10"),
        ("redis emptied", "1", "0", "-", "4", "10"),
        ("relay frozen + redis emptied", "1", "2", "limits_and_breakers_hold", "never", "3"),
    ]


def test_a_round_says_what_was_violated_and_which_parts_ended() -> None:
    assert report.told(ILL).splitlines() == [
        "relay frozen: healthy after never s, settled after 3 s, relay ended 1 times",
        "    limits_and_breakers_hold: 2",
        "        a",
        "        b",
    ]


def test_the_report_can_be_read_by_programs(tmp_path: Path) -> None:
    report.write(tmp_path / "new" / "chaos.json", [ILL], seed=7)

    read = json.loads((tmp_path / "new" / "chaos.json").read_text())
    assert read["seed"] == 7
    assert read["rounds"][0]["violated"] == {"limits_and_breakers_hold": ["a", "b"]}
    assert [(row["fault"], row["violations"]) for row in read["faults"]] == [("relay frozen", "2")]


def test_growth_compares_the_first_and_the_last_quarter() -> None:
    samples = [Sample(float(n), {"relay threads": float(n), **({"new": 1.0} if n > 6 else {})}) for n in range(8)]

    assert growth(samples) == {"relay threads": (0.5, 6.5)}
