"""Read the header of a GGUF file: its metadata and the number of its parameters.

Written here because the `gguf` package takes seconds to read a vocabulary that nobody asked for.
The layout is that of the GGUF specification, versions 2 and 3, little endian.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MetadataValue = int | float | bool | str

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
# Type number -> struct code of the scalar types.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_LONGEST_STRING_BYTES = 64 * 1024**2


class GgufError(Exception):
    """The file is no GGUF, is cut off, or is of an unknown version."""


@dataclass(frozen=True)
class GgufHeader:
    """The scalar metadata of a file; arrays, such as the vocabulary, are left out."""

    metadata: dict[str, MetadataValue]
    parameter_count: int

    def whole_number(self, key: str) -> int | None:
        """Return a metadata value if it is there and a whole number."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) else None

    def text(self, key: str) -> str:
        """Return a metadata value if it is there and a text, else an empty text."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""


def read_header(path: Path) -> GgufHeader:
    """Read the header of a file.

    Raises:
        GgufError: not a GGUF file of a known version, or cut off within its header.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise GgufError(f"{path} is not a GGUF file.")
        try:
            return _read_body(file, path)
        except (struct.error, UnicodeDecodeError, KeyError, OverflowError) as error:
            raise GgufError(f"{path} is cut off or damaged: {error}") from error


def _read_body(file: BinaryIO, path: Path) -> GgufHeader:
    version = _number(file, "I")
    if version not in {2, 3}:
        raise GgufError(f"{path} is GGUF version {version}; 2 and 3 are known.")
    tensor_count, entry_count = _number(file, "Q"), _number(file, "Q")
    metadata: dict[str, MetadataValue] = {}
    for _entry in range(entry_count):
        key = _string(file)
        kind = _number(file, "I")
        if kind == _ARRAY:
            _skip_array(file)
        else:
            metadata[key] = _string(file) if kind == _STRING else _scalar(file, kind)
    return GgufHeader(metadata, sum(_tensor_size(file) for _tensor in range(tensor_count)))


def _tensor_size(file: BinaryIO) -> int:
    _string(file)
    dimensions = [_number(file, "Q") for _dimension in range(_number(file, "I"))]
    file.seek(4 + 8, 1)  # its type and its offset
    return math.prod(dimensions)


def _skip_array(file: BinaryIO) -> None:
    kind, count = _number(file, "I"), _number(file, "Q")
    if kind == _STRING:
        for _item in range(count):
            file.seek(_number(file, "Q"), 1)
    elif kind == _ARRAY:
        for _item in range(count):
            _skip_array(file)
    else:
        file.seek(count * struct.calcsize("<" + _SCALARS[kind]), 1)


def _string(file: BinaryIO) -> str:
    length = _number(file, "Q")
    if length > _LONGEST_STRING_BYTES:
        raise OverflowError(f"a string of {length} bytes")
    return file.read(length).decode("utf-8")


def _number(file: BinaryIO, code: str) -> int:
    size = struct.calcsize("<" + code)
    (value,) = struct.unpack("<" + code, file.read(size))
    return int(value)


def _scalar(file: BinaryIO, kind: int) -> MetadataValue:
    code = "<" + _SCALARS[kind]
    value: MetadataValue
    (value,) = struct.unpack(code, file.read(struct.calcsize(code)))
    return value
