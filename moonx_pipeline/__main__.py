"""``python -m moonx_pipeline`` is ``moonx``."""

from moonx_pipeline.cli import main

main()
