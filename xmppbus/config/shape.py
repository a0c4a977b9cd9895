"""Compares what a config says with the types of `options.py`, and puts every difference into a sentence.

msgspec decides in the end; but it stops at the first difference and speaks of JSON paths, and its readers are people.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec.inspect as types

from xmppbus.config.document import Path
from xmppbus.options import Options

_SECRETS = frozenset({"secret", "password", "component_secret", "pass", "passwd", "token"})
_SECRET_FILES = ("secret_file", "password_file")
_SHOWN = 40  # characters of a wrong value that are repeated in a sentence


class Difference(NamedTuple):
    """Something that is not as it should be, at a value or at its key."""

    path: Path
    sentence: str
    at_key: bool = False


def differences(value: dict[str, Any]) -> Iterator[Difference]:
    """Everything in the config that does not fit the types of the options."""
    return compare(value, Options, ())


def compare(value: Any, wanted: type, path: Path) -> Iterator[Difference]:
    """Everything in a part of the config that does not fit a type."""
    return _compare(value, _known(wanted), path)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` did you mean ...?`, or the whole choice where nothing is near. Starts with its punctuation."""
    choice = sorted(known)
    near = difflib.get_close_matches(word.lower(), choice, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; there are {listed(choice)}" if choice else "; there are none"


def listed(words: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    quoted = [f"`{word}`" for word in words]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def named(path: Path) -> str:
    """The place in the config as people write it: `routes[0].to`."""
    found = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return found.removeprefix(".") or "the config"


@cache
def _known(wanted: type) -> types.Type:
    return types.type_info(wanted)


def _compare(value: Any, wanted: types.Type, path: Path) -> Iterator[Difference]:
    plain, hint = _unwrapped(wanted)
    candidates = plain.types if isinstance(plain, types.UnionType) else (plain,)
    for each in candidates:
        inner, inner_hint = _unwrapped(each)
        if _fits(value, inner):
            yield from _inside(value, inner, {**hint, **inner_hint}, path)
            return
    expected = " or ".join(dict.fromkeys(_expected(_unwrapped(each)[0]) for each in candidates if _expected(each)))
    yield Difference(path, f"{named(path)} should be {expected}, not {_shown(value)}{_quotes(value, candidates)}")


def _unwrapped(wanted: types.Type) -> tuple[types.Type, dict[str, Any]]:
    if isinstance(wanted, types.Metadata):
        inner, hint = _unwrapped(wanted.type)
        return inner, {**hint, **(wanted.extra_json_schema or {})}
    return wanted, {}


def _fits(value: Any, wanted: types.Type) -> bool:
    """Whether the value is of that kind at all; its bounds come later."""
    if isinstance(wanted, types.AnyType):
        return True
    if isinstance(value, bool):
        return isinstance(wanted, types.BoolType)
    kinds: dict[type, tuple[type, ...]] = {
        dict: (types.StructType, types.DictType),
        list: (types.ListType,),
        str: (types.StrType, types.LiteralType),
        int: (types.IntType, types.FloatType),
        float: (types.FloatType,),
        type(None): (types.NoneType,),
    }
    return isinstance(wanted, kinds.get(type(value), ()))


def _inside(value: Any, wanted: types.Type, hint: dict[str, Any], path: Path) -> Iterator[Difference]:
    if isinstance(wanted, types.StructType):
        yield from _struct(value, wanted, path)
    elif isinstance(wanted, types.ListType):
        if wanted.min_length and len(value) < wanted.min_length:
            yield Difference(path, f"{named(path)} is empty; it needs at least {wanted.min_length}")
        if wanted.max_length is not None and len(value) > wanted.max_length:
            yield Difference(path, f"{named(path)} has {len(value)} entries of at most {wanted.max_length}")
        for index, each in enumerate(value):
            yield from _compare(each, wanted.item_type, (*path, index))
    elif isinstance(wanted, types.DictType):
        for key, each in value.items():
            yield from _compare(each, wanted.value_type, (*path, key))
    elif isinstance(wanted, types.LiteralType):
        if value not in wanted.values:
            choice = [str(each) for each in wanted.values]
            yield Difference(path, f"{named(path)} can't be {_shown(value)}{did_you_mean(value, choice)}")
    elif isinstance(wanted, types.StrType):
        yield from _text(value, wanted, hint, path)
    elif isinstance(wanted, (types.IntType, types.FloatType)) and not _in_bounds(value, wanted):
        yield Difference(path, f"{named(path)} should be {_expected(wanted)}, not {_shown(value)}")


def _struct(value: dict[str, Any], wanted: types.StructType, path: Path) -> Iterator[Difference]:
    fields = {each.encode_name: each for each in wanted.fields}
    where = f"in `{named(path)}`" if path else "at the top of the config"
    for key, each in value.items():
        if key in fields:
            yield from _compare(each, fields[key].type, (*path, key))
        elif key in _SECRETS and (file := next((name for name in _SECRET_FILES if name in fields), "")):
            yield Difference(
                (*path, key),
                "a secret does not belong into this file, which many may read: write it into a file of its own "
                f"(mode 600) and name that: `{file}: /etc/xmppbus/{file.removesuffix('_file')}`",
                at_key=True,
            )
        else:
            sentence = f"there is no option `{_short(key)}` {where}{did_you_mean(key, fields)}"
            yield Difference((*path, key), sentence, at_key=True)
    for name, each in fields.items():
        if each.required and name not in value:
            yield Difference(path, f"`{name}` is missing {where}")


def _text(value: str, wanted: types.StrType, hint: dict[str, Any], path: Path) -> Iterator[Difference]:
    if wanted.min_length and len(value) < wanted.min_length:
        yield Difference(path, f"{named(path)} is empty")
    elif wanted.max_length is not None and len(value) > wanted.max_length:
        yield Difference(path, f"{named(path)} is longer than {wanted.max_length} characters")
    elif wanted.pattern and not re.search(wanted.pattern, value):
        examples = [str(each) for each in hint.get("examples", ())]
        near = difflib.get_close_matches(value.lower().replace(" ", ""), examples, n=1, cutoff=0.6)
        advice = f"; did you mean `{near[0]}`?" if near else f": it is {hint.get('description', wanted.pattern)}"
        yield Difference(path, f"{named(path)} can't be {_shown(value)}{advice}")


def _in_bounds(value: float, wanted: types.IntType | types.FloatType) -> bool:
    return not (
        (wanted.ge is not None and value < wanted.ge)
        or (wanted.gt is not None and value <= wanted.gt)
        or (wanted.le is not None and value > wanted.le)
        or (wanted.lt is not None and value >= wanted.lt)
    )


def _expected(wanted: types.Type) -> str:
    if isinstance(wanted, types.Metadata):
        return _expected(wanted.type)
    if isinstance(wanted, (types.IntType, types.FloatType)):
        return _number(wanted)
    words: dict[type, str] = {
        types.BoolType: "`true` or `false`",
        types.StrType: "text",
        types.ListType: "a list",
        types.DictType: "options by name",
        types.StructType: "options by name",
        types.NoneType: "",
        types.AnyType: "anything",
    }
    if isinstance(wanted, types.LiteralType):
        return "one of " + listed([str(each) for each in wanted.values])
    return words.get(type(wanted), "something else")


def _number(wanted: types.IntType | types.FloatType) -> str:
    kind = "a whole number" if isinstance(wanted, types.IntType) else "a number"
    low = f"from {wanted.ge:,}" if wanted.ge is not None else f"above {wanted.gt:,}" if wanted.gt is not None else ""
    high = f"to {wanted.le:,}" if wanted.le is not None else f"below {wanted.lt:,}" if wanted.lt is not None else ""
    return " ".join(part for part in (kind, low, high) if part)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "options by name"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{_short(value)}`"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _quotes(value: Any, candidates: Sequence[types.Type]) -> str:
    """Advice where a text looks like something else to YAML."""
    wants_text = any(isinstance(_unwrapped(each)[0], types.StrType) for each in candidates)
    if wants_text and isinstance(value, (int, float)):
        return f'; quotes make it text: "{str(value).lower()}"'
    return ""
