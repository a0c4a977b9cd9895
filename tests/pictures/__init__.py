"""Pictures of the product for its documentation: `python -m tests.pictures` makes them anew, in `docs/img`."""
