"""The rows of a Parquet file."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from zeroscale.config.data import FilesData
from zeroscale.core.format import escaped
from zeroscale.data.sources import documents
from zeroscale.data.sources.documents import Fault, Row

if TYPE_CHECKING:
    from pyarrow import RecordBatch

_ROWS = 1000


def parquet_rows(handle: BinaryIO, path: Path, name: str, data: FilesData, skip: int) -> Iterator[Row]:
    """The rows behind the first `skip` ones.

    Raises:
        Fault: naming the file, and the row where one is at fault.
    """
    import pyarrow
    from pyarrow import parquet

    size, where = path.stat().st_size, escaped(path)
    if not size:
        return
    try:
        file = parquet.ParquetFile(handle)
        total, names = file.metadata.num_rows, file.schema_arrow.names
        wanted = [data.text_field, *([data.url_field] if data.leave_out_sites else [])]
        columns = [field for field in wanted if field in names]
        if not columns:
            # Read as it is, so that the message can name what it has instead.
            columns = names
        if len(set(names)) < len(names):
            raise Fault(f"{where}: two of its columns have one name (it has {escaped(', '.join(names))})")
        number = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if number + rows <= skip:
                number += rows
                continue
            for batch in file.iter_batches(_ROWS, row_groups=[group], columns=columns):
                for value in _values(batch, where, number):
                    number += 1
                    if number > skip:
                        place = f"{where}, row {number}"
                        yield documents.row(value, data, place, f"{name}:{number}", number, size * number // total)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk; Parquet's own have no number
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Fault(f"{where}: not a Parquet file that can be read: {reason}") from error


def _values(batch: "RecordBatch", where: str, before: int) -> list[dict[str, object]]:
    """The batch's rows; the text of a column need not be UTF-8, for Parquet's writers do not check it."""
    try:
        return batch.to_pylist()
    except UnicodeDecodeError as error:
        for row in range(batch.num_rows):
            for column in range(batch.num_columns):
                try:
                    batch.column(column)[row].as_py()
                except UnicodeDecodeError as fault:
                    field = escaped(batch.schema.names[column])
                    raise Fault(
                        f"{where}, row {before + row + 1}: the field {field!r} is not UTF-8 at its byte {fault.start}"
                        f" (0x{fault.object[fault.start]:02x}); convert it, or leave the row out"
                    ) from error
        raise
