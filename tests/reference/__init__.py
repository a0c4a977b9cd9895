"""Generated pages of `docs/reference`. `python -m tests.reference` writes them; a test says when one is out of date."""
