"""Which parts a workbook's archive has; bombs are refused by what the archive says of itself, before a part is read."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from rfmkit.data.workbook_child import SAVE_AS_XLSX, Refused, damaged, limits, locked

_BLOCK = limits.MEGABYTE
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)""")


class Archive:
    """The parts of an .xlsx or .ods file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    Refused
        If it is no archive, has too many parts, unpacks to too much, or an XML part of it declares entities.
    """

    def __init__(self, path: Path):
        _refuse_many_parts(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            raise damaged("the file is cut short") from None
        # Some programs write «\» in the names of parts, and the case of a name is of no matter.
        self._parts = {part.filename.replace("\\", "/").lstrip("/").lower(): part for part in self._zip.infolist()}
        written = [part for name, part in self._parts.items() if name.endswith((".xml", ".rels"))]
        self.unpacked = sum(part.file_size for part in written)
        _refuse_bombs(written, self.unpacked, path.stat().st_size)
        if any(part.flag_bits & 1 for part in written):
            raise locked()
        for part in written:
            _refuse_entities(self._zip, part)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._parts

    def size(self, name: str) -> int:
        """Bytes of a part."""
        return self._parts[name.lower()].file_size

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield a part's bytes, held against its checksum at the end."""
        if name not in self:
            raise damaged("a part is missing")
        with self._zip.open(self._parts[name.lower()]) as stream:
            while block := stream.read(_BLOCK):
                yield block

    def text(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of an XML part of UTF-8, which is what all programs write."""
        first = True
        for block in self.blocks(name):
            if first:
                _refuse_other_encodings(block)
                first = False
            if b"\0" in block:
                raise damaged("XML holds zero bytes")
            yield block

    def elements(self, name: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield each element of a small part: the names that lead to it, without prefixes, and its attributes."""
        if name in self and self.size(name) > limits.INDEX_BYTES:
            raise Refused("has an index of its parts that is too large", SAVE_AS_XLSX)
        found, path = [], []

        def start(tag: str, attributes: dict[str, str]) -> None:
            path.append(tag.rpartition(":")[2])
            found.append(("/".join(path), {key.rpartition(":")[2]: value for key, value in attributes.items()}))

        parser = xml_parser()
        parser.StartElementHandler = start
        parser.EndElementHandler = lambda tag: path.pop()
        for block in self.blocks(name):
            parser.Parse(block)
            yield from found
            found.clear()
        parser.Parse(b"", True)


def xml_parser():
    """A parser of XML that stops at the first declaration of a document's type: there entities would be made."""
    parser = expat.ParserCreate()

    def refuse(*_) -> None:
        raise _entities()

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    return parser


def _entities() -> Refused:
    return Refused("declares entities in its XML, which no spreadsheet program does", SAVE_AS_XLSX)


def _refuse_many_parts(path: Path) -> None:
    """By the count at the archive's end: listing a million parts already takes seconds."""
    with path.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(stream.tell() - 66_000, 0))
        end = stream.read()
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) < at + 22:
        raise damaged("the file is cut short")
    (parts,) = struct.unpack_from("<H", end, at + 10)
    if parts > limits.PARTS:
        raise Refused(f"has more than {limits.PARTS:,} parts", limits.TOO_LARGE)


def _refuse_bombs(parts: list[zipfile.ZipInfo], unpacked: int, size: int) -> None:
    if len(parts) > limits.PARTS:
        raise Refused(f"has more than {limits.PARTS:,} parts", limits.TOO_LARGE)
    # Against the file's own size too: the entries of an archive may share their bytes.
    packed = [(part.file_size, part.compress_size) for part in parts] + [(unpacked, size)]
    if any(large > limits.PACKED_FROM and large > limits.PACKED * small for large, small in packed):
        raise Refused(f"unpacks to more than {limits.PACKED} times its size", SAVE_AS_XLSX)
    if unpacked > limits.UNPACKED:
        raise Refused(f"unpacks to more than {limits.UNPACKED // limits.MEGABYTE:,} MB", limits.TOO_LARGE)


def _refuse_entities(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    with archive.open(part) as stream:
        start = stream.read(4096).replace(b"\0", b"")
    if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
        raise _entities()


def _refuse_other_encodings(start: bytes) -> None:
    declared = _DECLARED.match(start.removeprefix(b"\xef\xbb\xbf"))
    encoding = declared[1].lower() if declared else b"utf-8"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or encoding not in {b"utf-8", b"utf8", b"us-ascii", b"ascii"}:
        raise Refused("holds XML that is not UTF-8", SAVE_AS_XLSX)
