"""`python -m xmppbus` is `xmppbus`."""

from xmppbus.cli.client import main

main()
