"""Zips from elsewhere, opened so that whatever is wrong with one is told as one error; pure.

Python's own reader raises half a dozen kinds of errors at a damaged zip, holds the whole directory in memory, and
unpacks whatever it finds.
"""

import struct
import zipfile
import zlib
from collections.abc import Collection
from typing import IO

MAX_DIRECTORY_BYTES = 1024 * 1024  # about 15,000 members
_END, _END_BYTES = b"PK\x05\x06", 22
_LARGE_END, _LARGE_END_BYTES, _LOCATOR_BYTES = b"PK\x06\x06", 56, 20
_LONGEST_COMMENT = 65_535
_PACKINGS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}

# what reading a member of a damaged zip may raise
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, UnicodeDecodeError, struct.error)


class ZipDamaged(ValueError):
    """The file is no zip that can be read; the message tells why."""


def open_zip(file: IO[bytes], *, packings: Collection[int]) -> zipfile.ZipFile:
    """Open a zip whose members are packed in one of the given ways (`ZIP_STORED`, `ZIP_DEFLATED`).

    Raises:
        ZipDamaged: it is no zip, its directory is damaged or far too large, or a member is packed in another way.
    """
    size = _directory_bytes(file)
    if size > MAX_DIRECTORY_BYTES:
        raise ZipDamaged(f"its directory has {size:,} bytes; at most {MAX_DIRECTORY_BYTES:,}")
    try:
        archive = zipfile.ZipFile(file)
    except (*UNREADABLE, ValueError) as error:
        raise ZipDamaged(str(error)) from error
    for entry in archive.infolist():
        if entry.header_offset < 0:
            raise ZipDamaged(f"{entry.filename} begins before the file does")
        if entry.compress_type not in packings:
            known = " or ".join(_PACKINGS[one] for one in packings)
            raise ZipDamaged(f"{entry.filename} is packed in another way than {known}")
    return archive


def _directory_bytes(file: IO[bytes]) -> int:
    """Return how large the end of the zip says that its directory is; 0 where there is no such end."""
    end = file.seek(0, 2)
    start = max(0, end - _END_BYTES - _LONGEST_COMMENT - _LOCATOR_BYTES - _LARGE_END_BYTES)
    file.seek(start)
    tail = file.read()
    file.seek(0)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        return 0
    (size,) = struct.unpack_from("<L", tail, at + 12)
    large = at - _LOCATOR_BYTES - _LARGE_END_BYTES
    if large >= 0 and tail.startswith(_LARGE_END, large):
        (large_size,) = struct.unpack_from("<Q", tail, large + 40)
        return max(int(large_size), int(size) if size != 0xFFFFFFFF else 0)
    return int(size)
