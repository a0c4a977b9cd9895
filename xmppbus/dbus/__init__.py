"""The message bus of a machine, or of somebody's session: the only importer of dbus-fast."""
