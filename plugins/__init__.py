"""The shipped plugins, each one file; installed as the package `xmppbus_plugins`."""
