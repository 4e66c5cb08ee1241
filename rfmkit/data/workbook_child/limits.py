"""What a workbook may ask for: enough for a million lines, too little for a bomb to do harm."""

from __future__ import annotations

from pathlib import Path

from rfmkit.data.workbook_child import Refused

try:
    import resource
except ImportError:  # not POSIX: there the parent's clock alone ends a child
    resource = None

MEGABYTE = 1 << 20

#: Bytes of memory over what the libraries take (some 75 MB). Half a million lines of ten columns take a third of it;
#: together with a parent that has pandas and DuckDB loaded the two stay under 512 MB.
MEMORY = 256 * MEGABYTE
#: Resident bytes at which the parent ends a child, where it can see them: the libraries, the memory above, some slack.
RESIDENT = 384 * MEGABYTE
#: Seconds of the processor for any workbook, beyond the start …
CPU_SECONDS = 3
#: … and how many bytes it must unpack for each further one. A slow machine reads 15 MB a second; a bomb that is refused
#: by what it is (below) never gets there, so that this only has to end what nobody thought of.
BYTES_A_SECOND = 4 * MEGABYTE
#: Seconds by the clock, and bytes of the file for each further one: machines are shared, often by ten. Where the system
#: limits neither memory nor the processor's time, this is the only limit.
CLOCK_SECONDS, CLOCK_BYTES_A_SECOND = 300, MEGABYTE // 16

#: Bytes that the XML of a workbook may have: a million lines of fifteen columns.
UNPACKED = 1024 * MEGABYTE
#: How often smaller than its content a part may be, once it is large enough to harm. Cells that differ in nothing but
#: their names pack 30 times, OpenDocument 55 times, XML without names of cells 350 times; a bomb 1,000 times.
PACKED, PACKED_FROM = 400, 32 * MEGABYTE
#: Text that cells share stands in memory as a whole.
SHARED_TEXT = 128 * MEGABYTE
#: The files in the archive, the sheets of a workbook, the columns of a sheet: more than any export has.
PARTS, SHEETS, COLUMNS = 10_000, 1_000, 1_000
#: The part that says what there is: names of sheets, formats.
INDEX_BYTES = 64 * MEGABYTE
#: One row, as the file writes it.
ROW_BYTES = 16 * MEGABYTE
#: Merged areas of a sheet, and cells filled from them or from one repeated row.
MERGES, FILLED = 200_000, 2_000_000
#: Where sheets end, by the programs that make them. What reaches there was cut off, or has a stray cell.
LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
LAST_ROW_XLS = 65_536

TOO_LARGE = "Export it as CSV, or in smaller parts."


_confined = False


def confine() -> None:
    """Give this process its share of memory, beyond what it has, and no dump of it when it dies.

    Where the system does not tell what it has (macOS), memory has no limit.
    """
    global _confined
    if resource is None:
        return
    _confined = True
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken = Path("/proc/self/statm")
    if taken.exists():
        have = int(taken.read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        share = have + MEMORY if most < 0 else min(have + MEMORY, most)
        resource.setrlimit(resource.RLIMIT_AS, (share, share))


def allow(unpacked: int) -> None:
    """Give this process, if it is confined, the processor's time that a workbook of so many bytes deserves."""
    if not _confined:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(usage.ru_utime + usage.ru_stime + 1 + CPU_SECONDS + unpacked / BYTES_A_SECOND)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if most < 0 else min(seconds, most), most))


def out_of_memory() -> Refused:
    """What is told of a workbook that needs more memory than a child has."""
    return Refused(f"needs more than {MEMORY // MEGABYTE} MB of memory to be read", TOO_LARGE)


def out_of_time() -> Refused:
    """What is told of a workbook that takes longer than its size explains."""
    return Refused("takes longer to read than its size explains", TOO_LARGE)
