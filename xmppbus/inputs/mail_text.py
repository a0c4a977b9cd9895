"""Texts in a mail: header fields with encoded words (RFC 2047), bodies in any charset, and HTML. Pure; never raises.

The standard library's readers know many charsets that mails don't have, and some of those are slow or raise what nobody
expects: so a charset is looked at before it is used, and a text is cut before it is decoded.
"""

from __future__ import annotations

import binascii
import codecs
import html
import re

from xmppbus import limits

_WORD = r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?\s]*)\?="
_WORDS = re.compile(rf"(?:{_WORD})(?:\s+(?:{_WORD}))*")
_ONE = re.compile(_WORD)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[!?A-Za-z][A-Za-z0-9]*)[^<>]*>")
_SPACE = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")
_SLOW = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem")
"""Python's text encodings that are no charset of any mail: they take time quadratic in the text, or always fail."""

_SILENT = frozenset({"script", "style", "head", "title", "template"})
_BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre"})
_BLOCKS |= {"blockquote", "hr", "section", "article", "header", "footer"}


def decoded(content: bytes, charset: str) -> str:
    """Bytes as text; what is not in the charset is shown as U+FFFD, and an unknown charset is taken for UTF-8."""
    for name in (charset, "utf-8"):
        try:
            found = codecs.lookup(name.strip().strip("\"'")[:40] or "utf-8")
            # codecs has no public word for "from bytes to text" (bpo-19619); bytes.decode asks the same attribute.
            if found.name in _SLOW or not getattr(found, "_is_text_encoding", True):
                continue
            return content.decode(found.name, "replace")
        except (LookupError, UnicodeError, ValueError):
            continue
    return content.decode("utf-8", "replace")


def header_text(value: object) -> str:
    """A header field's value in one line. Raw bytes above ASCII are UTF-8 (RFC 6532), else what old devices write."""
    text = str(value)[: limits.MAIL_HEADER_CHARACTERS]
    raw = text.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return _CONTROL.sub(" ", _WORDS.sub(lambda run: _word_texts(run.group()), text)).strip()


def _word_texts(run: str) -> str:
    """Encoded words in a row: the space between two is none, and a character may begin in one and end in the next."""
    found: list[tuple[str, bytes]] = []
    for charset, encoding, text in _ONE.findall(run):
        content = _from_base64(text) if encoding in "bB" else _from_quoted(text)
        name = charset.partition("*")[0].lower()  # a language may stand behind it (RFC 2231 §5)
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + content)
        else:
            found.append((name, content))
    return "".join(decoded(content, name) for name, content in found)


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")


def _from_quoted(text: str) -> bytes:
    try:
        return binascii.a2b_qp(text.encode("utf-8", "replace"), header=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")


def text_of_html(page: str) -> str:
    """HTML as plain text, of the beginning of a long page.

    Not with `html.parser`: 64 KiB of tags that don't end take it 44 seconds. This looks at each character once.
    """
    page = _without_comments(page[: limits.MAIL_HTML_CHARACTERS])
    found: list[str] = []
    silent, at = "", 0
    for tag in _TAG.finditer(page):
        if not silent:
            found.append(_SPACE.sub(" ", page[at : tag.start()]))
        at = tag.end()
        name, is_end = tag["name"].lower(), bool(tag["end"])
        if silent:
            silent = "" if is_end and name == silent else silent
        elif name in _SILENT and not is_end:
            silent = name
        elif name in _BLOCKS:
            found.append("\n")
        elif name in ("td", "th") and not is_end:
            found.append(" ")
    if not silent:
        found.append(_SPACE.sub(" ", page[at:]))
    text = html.unescape("".join(found))
    lines = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip()


def _without_comments(page: str) -> str:
    found, at = [], 0
    while (begin := page.find("<!--", at)) >= 0:
        found.append(page[at:begin])
        end = page.find("-->", begin + 4)
        at = end + 3 if end >= 0 else len(page)
    return "".join([*found, page[at:]])
