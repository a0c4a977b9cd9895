"""The demonstration, and the private Prosody that it and the tests run against."""
