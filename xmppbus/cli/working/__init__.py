"""What consumes a queue where it was typed: the connection to the daemon, and the commands that are run."""
