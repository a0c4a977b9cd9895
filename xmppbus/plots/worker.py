"""The process that draws: questions on standard input, answers on standard output, until the input ends.

A question and an answer are four bytes of length (big-endian) and so many bytes: of JSON, and of one byte of verdict
(`+` or `-`) with the picture, or with why there is none. Nothing of xmppbus is imported: it is run as a file, with
only what it needs, and V8 and its memory are gone when it ends.
"""

import contextlib
import json
import os
import sys
from typing import Any, BinaryIO

BUNDLE = "window.vegaEmbed = vegaEmbed; window.vega = vega; window.vegaLite = vegaLite;"


def main() -> None:
    """Answer until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    with contextlib.suppress(OSError):
        os.nice(5)  # the house comes first
    questions = sys.stdin.buffer
    while head := questions.read(4):
        question = json.loads(_read(questions, int.from_bytes(head, "big")))
        try:
            verdict, body = b"+", _drawn(question)
        except Exception as error:  # the library's errors are ValueError, and whatever else JavaScript throws
            verdict, body = b"-", f"{type(error).__name__}: {error}".encode(errors="replace")
        answers.write((len(body) + 1).to_bytes(4, "big") + verdict + body)
        answers.flush()


def _read(stream: BinaryIO, count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        sys.exit(0)
    return found


def _drawn(question: dict[str, Any]) -> bytes:
    import vl_convert

    if question["form"] == "bundle":
        return vl_convert.javascript_bundle(BUNDLE).encode()
    # No address is allowed: a picture is made of what is in the specification.
    if question["form"] == "svg":
        return vl_convert.vegalite_to_svg(question["chart"], allowed_base_urls=[]).encode()
    return vl_convert.vegalite_to_png(question["chart"], scale=question["scale"], allowed_base_urls=[])


if __name__ == "__main__":
    main()
