"""System events on PubSub nodes and in people's chats. `from xmppbus import Bot` is the way in from Python."""

TYPE_CHECKING = False  # `typing` itself is too dear: every `xmppbus publish` imports this package

if TYPE_CHECKING:
    from xmppbus.cli.jobs.scripting import CommandFailed, command, job, publish
    from xmppbus.script import Bot

__all__ = ["Bot", "CommandFailed", "command", "job", "publish"]


def __getattr__(name: str) -> object:
    """Imported when it is asked for."""
    if name == "Bot":
        from xmppbus.script import Bot

        return Bot
    if name in __all__:
        from xmppbus.cli.jobs import scripting

        return getattr(scripting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
