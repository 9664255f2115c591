"""One benchmark in a process of its own.

``python -m moonx_pipeline.bench NAME FD`` writes each figure as a JSON line to the open file descriptor FD.
"""

from __future__ import annotations

import json
import os
import sys

from moonx_pipeline.bench.benchmarks import BENCHMARKS
from moonx_pipeline.bench.figures import Figure


def main(name: str, descriptor: int) -> None:
    """Runs a benchmark and reports each figure when it is known."""

    def add(figure: str, value: float, unit: str, target: str) -> None:
        line = json.dumps(Figure(figure, round(value, 2), unit, target)._asdict())
        os.write(descriptor, line.encode() + b"\n")

    # The processes that it starts must not hold the pipe open.
    os.set_inheritable(descriptor, False)
    BENCHMARKS[name](add)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
