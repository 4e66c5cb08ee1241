"""Elements of large XML, some whole ones at a time: what is in memory does not grow with the file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rfmkit.data.workbook_child import Refused, damaged, limits

_ROOT = re.compile(rb"<(?:([\w.-]+):)?(?:worksheet|sst)[\s>/]")
#: Comments, instructions, and text that is written without escapes.
_ASIDE = re.compile(rb"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_ASIDE_BEGINS = re.compile(rb"<[!?]")


class Blocks:
    """The bytes of one element's content, cut between the elements inside it.

    Prefixes of names, comments and unescaped text are brought into the plain form first.

    Parameters
    ----------
    parts : iterator of bytes
        The XML, in UTF-8.
    holder, element : bytes
        The element whose content is wanted, and those inside it.
    """

    def __init__(self, parts: Iterator[bytes], holder: bytes, element: bytes):
        self._parts, self._holder, self._element = parts, holder, element
        self._rest = b""
        self._prefix: bytes | None = None
        #: What stands before the element, once its content is read.
        self.before = b""

    def __iter__(self) -> Iterator[bytes]:
        if not self._opened():
            return
        while True:
            # What begins a comment that has not ended yet may hold anything.
            found = _ASIDE_BEGINS.search(self._rest) if _has_asides(self._rest) else None
            sure = found.start() if found else len(self._rest)
            end = self._rest.find(b"</" + self._holder, 0, sure)
            # The last element may go on in the next part.
            at = end if end >= 0 else max(self._rest.rfind(b"<" + self._element, 0, sure), 0)
            chunk, self._rest = self._rest[:at], self._rest[at:]
            yield chunk
            if end >= 0:
                return
            self._read()

    def behind(self) -> Iterator[bytes]:
        """Yield what stands behind the element, cut before a tag."""
        for part in self._parts:
            whole, sign, self._rest = self._plain(self._rest + part).rpartition(b"<")
            self._rest = sign + self._rest
            yield whole
        yield self._rest

    def _opened(self) -> bool:
        """Go to the element's content; False if it can have none."""
        opening = re.compile(rb"<" + self._holder + rb"(?:\s[^<>]*?)?(/?)>")
        while not (found := opening.search(self._rest)):
            self._read()
        self.before, self._rest = self._rest[: found.start()], self._rest[found.end() :]
        return not found[1]

    def _read(self) -> None:
        part = next(self._parts, None)
        if part is None:
            raise damaged("a part does not end")
        if self._prefix is None:
            root = _ROOT.search(part)
            self._prefix = root[1] if root and root[1] else b""
        self._rest = self._plain(self._rest + part)
        if len(self._rest) > limits.ROW_BYTES:
            what = f"has a row, or a list before the rows, of more than {limits.ROW_BYTES // limits.MEGABYTE} MB"
            raise Refused(what, limits.TOO_LARGE)

    def _plain(self, xml: bytes) -> bytes:
        if _has_asides(xml):
            xml = _ASIDE.sub(_escaped, xml)
        if self._prefix:
            xml = xml.replace(b"<" + self._prefix + b":", b"<").replace(b"</" + self._prefix + b":", b"</")
        return xml


def _has_asides(xml: bytes) -> bool:
    """Whether a closer look is needed: single signs are found many times faster than two together."""
    return any(sign in xml and b"<" + sign in xml for sign in (b"!", b"?"))


def _escaped(found: re.Match) -> bytes:
    return (found[1] or b"").replace(b"&", b"&amp;").replace(b"<", b"&lt;")
