"""Excel's own files (.xlsx, .xlsm): cells are taken from the XML's bytes, so that a sheet need not fit into memory.

A reader of its own: those that there are hold a sheet as a rectangle, which two cells can make 125 GB large, and do not
tell errors, formulas without a saved value and blank cells apart.
"""

from __future__ import annotations

import collections
import posixpath
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rfmkit.data.workbook_child import NO_VALUE, Refused, cell_name, damaged, limits, texts
from rfmkit.data.workbook_child.archive import Archive
from rfmkit.data.workbook_child.blocks import Blocks
from rfmkit.data.workbook_child.staging import Stage, areas

#: A cell: column, row, other attributes, and its value where that is all it has, or else everything inside it.
_CELL = re.compile(
    rb'<c r="([A-Z]{1,3})([0-9]{1,7})"([^<>/]*)(?:/>|>(?:<v>([^<]*)</v></c>|([^<]*(?:<(?!/?c[\s/>])[^<]*)*)</c>))'
)
_ANY_CELL = re.compile(rb"<c[\s/>]")
#: What is inside a cell, up to a zero byte: whether there is a formula, a value, text of the cell's own, plain or not.
_INSIDE = re.compile(
    rb"\s*(?:(<f)\b[^<>]*(?:/>|>[^<]*</f>)\s*)?(?:<v\b[^<>]*>([^<]*)</v>\s*)?"
    rb"(?:<is\b[^<>]*(?:/>|>(?:<t>([^<]*)</t></is>|([^<]*(?:<(?!/?is[\s/>])[^<]*)*)</is>))\s*)?\0"
)
_NO_VALUE_INSIDE = re.compile(rb"<v\s*/>")
_EXTENSION = re.compile(rb"<extLst\b[^<]*(?:<(?!/extLst>)[^<]*)*</extLst>")
#: A text that cells share, where that is all the entry has, or else everything inside the entry.
_SHARED = re.compile(rb"<si(?:\s[^<>]*?)?(?:/>|>(?:<t>([^<]*)</t></si>|([^<]*(?:<(?!/?si[\s/>])[^<]*)*)</si>))")
_ANY_SHARED = re.compile(rb"<si[\s/>]")
_RUN = re.compile(rb"<t(\s[^<>]*?)?>([^<]*)</t>")
#: How a text is pronounced, which Excel shows above it.
_READING = re.compile(rb"<rPh\b[^<]*(?:<(?!/rPh>)[^<]*)*</rPh>")
_BLANKS = b" \t\r\n"
_TAG = re.compile(rb"<(row|c)((?:\s[^<>]*?)?)(/?)>")
_ATTRIBUTE = re.compile(rb"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_PLACE = re.compile(rb"([A-Za-z]{1,3})([0-9]{1,7})")
_MERGED = re.compile(rb"""<mergeCell\s[^<>]*?ref\s*=\s*["']([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})["']""")
_DIMENSION = re.compile(rb"""<dimension\s[^<>]*?ref\s*=\s*["'](?:[A-Z]+[0-9]+:)?[A-Z]+([0-9]+)["']""")

_KINDS = {b"s": "shared", b"str": "text", b"e": "text", b"inlineStr": "inline", b"b": "boolean", b"d": "iso"}
_NUMBERS = ("number", "day", "time", "duration")
_TYPED = ("boolean", "iso", *_NUMBERS)
_CODES = {kind: code for code, kind in enumerate([*dict.fromkeys(_KINDS.values()), *_NUMBERS])}


class Workbook:
    """The sheets of an Excel file, and what their cells refer to.

    Parameters
    ----------
    archive : Archive
    decimal, date_format : str
        How numbers and days are written as text.
    """

    def __init__(self, archive: Archive, decimal: str, date_format: str):
        self._archive, self._decimal = archive, decimal
        book = next((target for kind, target in _related(archive, "").values() if kind == "officeDocument"), "")
        parts = _related(archive, book)
        #: Names of sheets, and the parts that hold them.
        self.sheets: list[tuple[str, str]] = []
        since_1904, self._recomputed = False, False
        for path, given in archive.elements(book):
            if path == "workbook/workbookPr":
                since_1904 = given.get("date1904") in {"1", "true"}
            elif path == "workbook/calcPr":
                # Whoever writes this leaves the values of formulas to the program that opens the file.
                self._recomputed = given.get("fullCalcOnLoad") in {"1", "true"}
            elif path == "workbook/sheets/sheet":
                kind, part = parts.get(given.get("id"), ("", ""))
                if kind == "worksheet":
                    self.sheets.append((given.get("name", ""), part))
        self._days = texts.Days(date_format, since_1904)
        named = dict(parts.values())
        self._formats = _formats(archive, named["styles"]) if "styles" in named else []
        self._shared_part, self._shared = named.get("sharedStrings"), None

    def read(self, part: str, stage: Stage) -> Path | None:
        """Stage one sheet; gives its file, or None if it has no cell."""
        if self._shared is None:
            self._shared = _shared(self._archive, self._shared_part)
        blocks, names, merged = Blocks(self._archive.text(part), b"sheetData", b"row"), _Names(), []
        for chunk in blocks:
            self._stage(names.cells(chunk), stage)
        if any(int(row) > limits.LAST_ROW for row in _DIMENSION.findall(blocks.before)):
            raise damaged("it claims more rows than a sheet has")
        for rest in blocks.behind():
            merged += _MERGED.findall(rest)
            if len(merged) > limits.MERGES:
                break
        corners = [(int(top), _column(left), int(bottom), _column(right)) for left, top, right, bottom in merged]
        return stage.finish(areas(corners))

    def _stage(self, found: list[bytes | None], stage: Stage) -> None:
        """Stage the cells of whole rows: five pieces each, after what stands before it."""
        if len(found) == 1:
            return
        columns = _looked_up(found[1::6], _column)
        rows = pa.array(found[2::6], pa.binary()).cast(pa.string()).cast(pa.int64()).to_numpy()
        if rows.min() < 1 or rows.max() > limits.LAST_ROW or columns.max() >= limits.LAST_COLUMN:
            raise damaged("a cell stands outside its sheet")
        kinds = _looked_up(found[3::6], self._code)
        values, formulas, inline = _insides(found[4::6], found[5::6])
        own = kinds == _CODES["inline"]
        given = np.where(own, _flags(inline.is_valid()), _flags(pc.not_equal(values, b"")))
        # An empty text is a value that a formula may have; whatever else is empty was never computed.
        lost = formulas & ~given & ~((kinds == _CODES["text"]) & _flags(values.is_valid()))
        if self._recomputed:
            lost |= formulas & (kinds == _CODES["number"]) & _flags(pc.equal(values, b"0"))
        given &= ~lost
        places, said = [np.flatnonzero(lost)], [pa.array([NO_VALUE] * int(lost.sum()), pa.string())]
        for kind, code in _CODES.items():
            places.append(np.flatnonzero(given & (kinds == code)))
            said.append(self._text(kind, (inline if kind == "inline" else values).take(pa.array(places[-1]))))
        at = np.concatenate(places)
        order = np.argsort(at, kind="stable")
        whole = pa.concat_arrays(said).take(pa.array(order))
        filled = _flags(pc.not_equal(whole, ""))
        at = at[order][filled]
        typed = np.isin(kinds, [_CODES[kind] for kind in _TYPED]) & ~lost
        stage.add(rows[at], columns[at], whole.filter(pa.array(filled)), typed[at])

    def _code(self, attributes: bytes) -> int:
        """What a cell's value is, by its attributes."""
        given = _attributes(attributes)
        kind = given.get(b"t", b"n")
        if kind != b"n":
            if kind not in _KINDS:
                raise damaged("a cell is of no known kind")
            return _CODES[_KINDS[kind]]
        style = int(given.get(b"s") or 0)
        return _CODES[self._formats[style] if style < len(self._formats) else "number"]

    def _text(self, kind: str, values: pa.Array) -> pa.Array:
        """Values of one kind as text."""
        if not len(values):
            return pa.array([], pa.string())
        if kind == "shared":
            try:
                return self._shared.take(values.cast(pa.string()).cast(pa.int64()))
            except (pa.ArrowInvalid, IndexError):
                raise damaged("a cell refers to a text that there is not") from None
        said = texts.plain(values)
        match kind:
            case "number":
                return texts.numbers(said, self._decimal)
            case "day":
                return texts.mapped(said, self._days.day)
            case "time":
                return texts.mapped(said, self._days.time)
            case "duration":
                return texts.mapped(said, texts.duration)
            case "iso":
                return texts.mapped(said, self._days.iso)
            case "boolean":
                return texts.mapped(said, lambda value: {"1": "true", "0": "false"}.get(value, value))
        return said


class _Names:
    """Takes cells apart, once every one has its name in the one form: some programs leave names out."""

    def __init__(self):
        self._row, self._column = 0, 0

    def cells(self, chunk: bytes) -> list[bytes | None]:
        """The pieces of whole rows: what stands before a cell, then what `_CELL` finds in it."""
        found = _CELL.split(chunk)
        between = b"".join(found[::6])
        if _ANY_CELL.search(between) or between.count(b'<row r="') != between.count(b"<row"):
            found = _CELL.split(_TAG.sub(self._name, chunk))
            if _ANY_CELL.search(b"".join(found[::6])):
                raise damaged("a cell is not whole")
            return found
        at = between.rfind(b'<row r="') + 8
        if at >= 8:
            self._row = int(between[at : between.index(b'"', at)])
        return found

    def _name(self, tag: re.Match) -> bytes:
        given = _attributes(tag[2])
        if tag[1] == b"row":
            self._row = int(given.get(b"r", self._row + 1))
            self._column = 0
            return tag[0]
        place = given.pop(b"r", cell_name(self._column, self._row).encode())
        found = _PLACE.fullmatch(place)
        if not found:
            raise damaged("a cell has no name")
        self._column = _column(found[1].upper()) + 1
        if self._column > limits.LAST_COLUMN:
            raise damaged("a cell stands outside its sheet")
        rest = b"".join(b' %s="%s"' % pair for pair in given.items() if pair[0] in {b"s", b"t"})
        return b'<c r="%s"%s%s>' % (place.upper(), rest, tag[3])


def _insides(values: list, others: list) -> tuple[pa.Array, np.ndarray, pa.Array]:
    """Values of cells as XML, which cells have a formula, and cells' own texts."""
    plain, other = pa.array(values, pa.binary()), pa.array(others, pa.binary())
    formulas, inline = np.zeros(len(plain), dtype=bool), pa.nulls(len(plain), pa.binary())
    at = np.flatnonzero(_flags(other.is_valid()))
    if not len(at):
        return plain, formulas, inline
    xml = b"\0".join(other.drop_null().to_pylist()) + b"\0"
    if b"<extLst" in xml:
        xml = _EXTENSION.sub(b"", xml)
    found = _INSIDE.split(_NO_VALUE_INSIDE.sub(b"<v></v>", xml))
    if len(found) // 5 != len(at) or any(found[::5]):
        raise damaged("a cell holds what it cannot")
    formulas[at] = [formula is not None for formula in found[1::5]]
    inside = pa.array(np.isin(np.arange(len(plain)), at))
    own = [_own(text, xml) for text, xml in zip(found[3::5], found[4::5], strict=True)]
    values = pc.replace_with_mask(plain, inside, pa.array(found[2::5], pa.binary()))
    return values, formulas, pc.replace_with_mask(inline, inside, pa.array(own, pa.binary()))


def _own(text: bytes | None, xml: bytes | None) -> bytes | None:
    """A text of its own that a cell or an entry has."""
    if text is not None:
        return text.strip(_BLANKS)
    return xml and _runs(xml)


def _runs(xml: bytes) -> bytes:
    """The text of an entry, whose parts may differ in their looks; blanks at their ends count where that is said."""
    runs = _RUN.findall(_READING.sub(b"", xml) if b"<rPh" in xml else xml)
    return b"".join(text if b"preserve" in given else text.strip(_BLANKS) for given, text in runs)


def _shared(archive: Archive, part: str | None) -> pa.Array:
    """The texts that cells share."""
    data, offsets = bytearray(), [np.zeros(1, dtype=np.int32)]
    if part is not None and archive.size(part) > 4 * limits.SHARED_TEXT:
        raise _too_much_text()
    blocks = Blocks(archive.text(part), b"sst", b"si") if part is not None else ()
    for chunk in blocks:
        found = _SHARED.split(chunk)
        if _ANY_SHARED.search(b"".join(found[::3])):
            raise damaged("a shared text is not whole")
        whole = [_own(text, xml) or b"" for text, xml in zip(found[1::3], found[2::3], strict=True)]
        said = texts.plain(pa.array(whole, pa.binary()))
        offsets.append(len(data) + np.cumsum(pc.binary_length(said).to_numpy(), dtype=np.int32))
        if len(said):
            data += pc.binary_join(pa.ListArray.from_arrays([0, len(said)], said), "")[0].as_buffer()
        if len(data) > limits.SHARED_TEXT:
            raise _too_much_text()
    if part is not None:
        collections.deque(blocks.behind(), maxlen=0)  # to the end, where the checksum is held
    offsets = np.concatenate(offsets)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def _too_much_text() -> Refused:
    return Refused(f"holds more than {limits.SHARED_TEXT // limits.MEGABYTE} MB of distinct text", limits.TOO_LARGE)


def _formats(archive: Archive, part: str) -> list[str]:
    """What numbers show, by the style of a cell."""
    codes: dict[int, str] = {}
    formats: list[int] = []
    for path, given in archive.elements(part):
        if path == "styleSheet/numFmts/numFmt":
            codes[int(given["numFmtId"])] = given.get("formatCode", "")
        elif path == "styleSheet/cellXfs/xf":
            formats.append(int(given.get("numFmtId", 0)))
    kinds = {number: texts.kind_of_format(number, codes.get(number)) for number in set(formats)}
    return [kinds[number] for number in formats]


def _related(archive: Archive, part: str) -> dict[str, tuple[str, str]]:
    """The parts that a part refers to: what they are, and their names."""
    folder, _, name = part.rpartition("/")
    listed = posixpath.join(folder, "_rels", f"{name}.rels")
    found = {}
    for path, given in archive.elements(listed) if listed in archive else ():
        if path == "Relationships/Relationship" and given.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, given["Target"].replace("\\", "/"))).lstrip("/")
            found[given.get("Id")] = (given["Type"].rpartition("/")[2], target)
    return found


def _attributes(tag: bytes) -> dict[bytes, bytes]:
    return {name: one or other for name, one, other in _ATTRIBUTE.findall(tag)}


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def _looked_up(values: list[bytes], function) -> np.ndarray:
    """Numbers for bytes of which few are distinct."""
    distinct = pa.array(values, pa.binary()).dictionary_encode()
    return np.array([function(value) for value in distinct.dictionary.to_pylist()], dtype=np.int64)[
        distinct.indices.to_numpy()
    ]


def _flags(truths: pa.Array) -> np.ndarray:
    return pc.fill_null(truths, False).to_numpy(zero_copy_only=False)
