"""The records of torch's zip archives: where they lie in the file, and whether they are whole."""

from __future__ import annotations

import mmap
import zipfile
import zlib
from typing import NamedTuple

from archdsl.errors import WeightsError, short

_MOST_RECORDS = 50_000


class Record(NamedTuple):
    """Where a record lies, and its CRC-32; 0 where the writer computed none."""

    start: int
    size: int
    crc: int


def records_in(data: mmap.mmap) -> dict[str, Record]:
    """The records by name, all of them stored as they are and inside the file."""
    entries = at = 0
    while (at := data.find(b"PK\x01\x02", at) + 1) and entries <= _MOST_RECORDS:
        entries += 1
    if entries > _MOST_RECORDS:
        raise WeightsError(f"is a zip archive of more than {_MOST_RECORDS} records, which no checkpoint has")
    try:
        with zipfile.ZipFile(data) as archive:  # type: ignore[call-overload]  # a map reads and seeks as a file does
            return {info.filename: _record(data, info) for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError, OSError) as error:
        raise WeightsError(f"is a damaged or cut zip archive ({short(str(error))}); fetch it again") from None


def _record(data: mmap.mmap, info: zipfile.ZipInfo) -> Record:
    header = data[info.header_offset : info.header_offset + 30]
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"no header of {info.filename}")
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise WeightsError(f"its record {short(info.filename)} is packed, which torch.save never does")
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = info.header_offset + 30 + names
    if start + info.file_size > len(data):
        raise zipfile.BadZipFile(f"{info.filename} is cut")
    return Record(start, info.file_size, info.CRC)


def checked(data: mmap.mmap, record: Record) -> bytes:
    """The bytes of a record.

    Raises:
        WeightsError: as `check_sum`.
    """
    check_sum(data, record)
    return data[record.start : record.start + record.size]


def check_sum(data: mmap.mmap, record: Record) -> None:
    """Refuse a record whose bytes are not those that were written.

    Raises:
        WeightsError: its checksum does not hold.
    """
    with memoryview(data) as view:
        if record.crc and zlib.crc32(view[record.start : record.start + record.size]) != record.crc:
            raise WeightsError("is damaged: a checksum does not hold; fetch it again")
