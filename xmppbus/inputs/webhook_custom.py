"""A preset that the config describes: paths and templates for each field of an event. The extra `webhooks`.

The templates are the operator's; what they are filled with is a stranger's. So they run in Jinja's sandbox, and what
comes out is text that the door checks like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xmppbus import limits
from xmppbus.inputs.webhook import Fields, Preset, Sent, Signing
from xmppbus.inputs.webhook_fields import fingerprint, json_of, text

if TYPE_CHECKING:
    from xmppbus.inputs.webhooks import CustomOptions

NEEDS_EXTRA = (
    "`custom` needs jinja2 and python-jsonpath, which are not installed; install them with `pip install "
    "'xmppbus[webhooks]'`, and start the daemon again"
)
FIELDS = ("type", "summary", "id", "source", "subject", "key", "status", "severity", "link", "time")

Value = Callable[[Mapping[str, Any]], Any]
"""What a path or a template comes to, for `body`, `headers` and `query`."""


def preset_of(options: CustomOptions, signing: Signing) -> Preset:
    """The preset. Raises `ValueError`: the extra is missing, or a path or a template can't be read."""
    compiled = _Compiler(options.name)
    fields = {name: compiled(name, made) for name in FIELDS if (made := getattr(options, name))}
    data = _data(compiled, options.data)
    find = compiled.places(options.each) if options.each else None

    def events(sent: Sent) -> Sequence[Fields]:
        body = json_of(sent)
        parts = find(body) if find else [body]
        if find and len(parts) == 1 and isinstance(parts[0], list):
            parts = parts[0]
        if len(parts) > limits.BATCH_EVENTS:
            raise ValueError(f"`each` finds {len(parts)} places of at most {limits.BATCH_EVENTS}")
        return [_event(fields, data, part, sent) for part in parts]

    return Preset(events, signing, is_slow=True)


def _event(fields: Mapping[str, Value], data: Value, body: Any, sent: Sent) -> Fields:
    known = {"body": body, "headers": dict(sent.headers), "query": dict(sent.query)}
    found = {name: said for name, value in fields.items() if (said := _said(value(known)))}
    if "type" not in found:
        raise ValueError("`type` comes out empty for this body")
    return {**found, "data": data(known)}


def _said(value: Any) -> str:
    return text(value).strip() if not isinstance(value, (dict, list)) else fingerprint(value)


def _data(compiled: _Compiler, wanted: str | Mapping[str, str] | None) -> Value:
    if wanted is None:
        return lambda known: known["body"]
    if isinstance(wanted, str):
        return compiled("data", wanted)
    parts = {name: compiled(f"data.{name}", each) for name, each in wanted.items()}
    return lambda known: {name: value(known) for name, value in parts.items()}


def _first(error: Exception) -> str:
    """What went wrong, without the picture beneath."""
    return str(error).partition("\n")[0]


class _Compiler:
    """Makes a function of a path or a template."""

    def __init__(self, name: str) -> None:
        try:
            import jsonpath
            from jinja2 import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError:
            raise ValueError(NEEDS_EXTRA) from None
        self._name = name
        self._jsonpath = jsonpath
        self._paths = jsonpath.JSONPathEnvironment()
        # Python's regular expressions can take for ever, and nothing ends them; `match` even takes one from the body.
        for each in ("match", "search"):
            del self._paths.function_extensions[each]
        self._failure = TemplateError
        self._jinja = ImmutableSandboxedEnvironment(autoescape=False)  # text for a chat, and no HTML

    def __call__(self, field: str, made: str) -> Value:
        if made.startswith("$"):
            find = self.places(made)
            return lambda known: next(iter(find(known["body"])), None)
        try:
            template = self._jinja.from_string(made)
        except self._failure as error:
            raise ValueError(f"has `{self._name}` in `custom`, whose {field} is no template: {_first(error)}") from None

        def filled(known: Mapping[str, Any]) -> str:
            try:
                return template.render(known)
            except Exception as error:  # whatever a template of the config does with a stranger's body is about that
                raise ValueError(f"{field} can't be made of this body: {type(error).__name__}: {error}") from None

        return filled

    def places(self, path: str) -> Callable[[Any], list[Any]]:
        """Everything that a JSONPath finds; the parts of a list, where it finds one list."""
        try:
            if any(token.kind == "TOKEN_RE" for token in self._paths.lexer.tokenize(path)):
                said = f"has `{self._name}` in `custom`, where {path} has =~: regular expressions are not taken"
                raise ValueError(said)
            compiled = self._paths.compile(path)
        except self._jsonpath.JSONPathError as error:
            raise ValueError(f"has `{self._name}` in `custom`, where {path} is no JSONPath: {_first(error)}") from None

        def find(body: Any) -> list[Any]:
            try:
                found: list[Any] = list(compiled.findall(body))
            except (self._jsonpath.JSONPathError, RecursionError) as error:
                raise ValueError(f"{path} can't be looked for in this body: {error}") from None
            return found

        return find
