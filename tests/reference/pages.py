"""Where the pages are."""

from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
