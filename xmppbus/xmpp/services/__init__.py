"""Any XMPP service and account, looked at and changed: disco, pubsub nodes, PEP, rosters, messages.

`disco`, `forms`, `nodes`, `pep`, `rosters` and `payloads` build requests and read answers, without I/O; `asking` says
whom they are asked of; `account` is a log-in of its own, for where there is no daemon.
"""
