"""Tables written as Parquet, a batch at a time, so that memory stays flat whatever their length. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import IO

PARQUET_TYPE = "application/vnd.apache.parquet"
MOMENT = "moment"  # a column of moments in UTC, to the microsecond
_BATCH = 2_000  # rows in memory at a time; each batch is a row group, which readers skip or load whole


def write_parquet(
    *,
    file: IO[bytes],
    columns: Mapping[str, str],
    rows: Iterable[Sequence[object]],
    about: Mapping[str, str] | None = None,
) -> int:
    """Write rows and return how many; None is null.

    `columns` gives Arrow's name of each column's type ("string", "int64", "float64", "bool") or `MOMENT`; `about`
    becomes the file's key-value metadata. pyarrow is imported late, because it costs 0.3 s.
    """
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    types = {name: pyarrow.timestamp("us", "UTC") if kind == MOMENT else kind for name, kind in columns.items()}
    schema = pyarrow.schema(list(types.items()), metadata=dict(about or {}))
    unwritten = iter(rows)
    count = 0
    with ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := list(islice(unwritten, _BATCH)):
            values = zip(*batch, strict=True)
            arrays = [pyarrow.array(column, type=field.type) for column, field in zip(values, schema, strict=True)]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
            count += len(batch)
    return count
