"""A program that is run and told of: `xmppbus exec`, and `job` for Python. It runs where it was typed."""
