"""Compressed files give what their own programs give, or one message."""

import bz2
import gzip
import json
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard

from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.sources.sources import documents

ROWS = "".join(json.dumps({"text": f"row {n} " + "word " * n}) + "\n" for n in range(50)).encode()
TEXTS = [json.loads(line)["text"] for line in ROWS.splitlines()]
PACK = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": zstandard.compress}
SKIPPABLE = b"\x5a\x2a\x4d\x18\x04\0\0\0abcd"


def texts(path: Path) -> list[str]:
    data = FilesData(kind="files", name="mine", path=str(path), val_fraction=0.1)
    return [document.text for document in documents(data)]


@pytest.mark.parametrize("kind", PACK)
def test_several_streams_with_zeros_between_and_behind_are_one_text(kind, tmp_path):
    pack, half = PACK[kind], len(ROWS) // 2
    path = tmp_path / f"a.jsonl.{kind}"
    for padding in (0, 1, 8, 100_000):
        zeros = b"\0" * padding
        path.write_bytes(pack(ROWS[:half]) + zeros + pack(b"") + pack(ROWS[half:]) + zeros)
        assert texts(path) == TEXTS


def test_zeros_behind_a_gzip_file_are_nothing_to_gzip_too(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(ROWS) + b"\0" * 512)
    assert gzip.decompress(path.read_bytes()) == ROWS
    if shutil.which("gzip"):
        assert subprocess.run(["gzip", "-dc", path], capture_output=True, check=True).stdout == ROWS
    assert texts(path) == TEXTS


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("garbage", [b"g", b"garbage!", b"\0\0\0garbage!"])
def test_what_is_no_stream_behind_the_last_one_is_named_with_its_byte(kind, garbage, tmp_path):
    path, whole = tmp_path / f"a.jsonl.{kind}", PACK[kind](ROWS)
    path.write_bytes(whole + garbage)
    byte = len(whole) + garbage.index(b"g")
    with pytest.raises(ZeroscaleError, match=rf"a\.jsonl\.{kind}: what stands behind .* byte {byte} on, is not "):
        texts(path)


@pytest.mark.parametrize("kind", PACK)
def test_a_stream_that_breaks_off_or_is_damaged_is_named(kind, tmp_path):
    path, whole = tmp_path / f"a.jsonl.{kind}", PACK[kind](ROWS)
    path.write_bytes(whole[:-9])
    with pytest.raises(ZeroscaleError, match="breaks off in the middle of its compressed data"):
        texts(path)
    path.write_bytes(b"plain text")
    with pytest.raises(ZeroscaleError, match=r"cannot be decompressed: .*; it is not \w+: give it the ending"):
        texts(path)


@pytest.mark.parametrize("window_log", [10, 27, 28, 31])
def test_zstd_windows_of_every_length_are_read(window_log, tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    content = packer.compress(ROWS) + packer.flush()
    assert zstandard.get_frame_parameters(content).window_size == 1 << window_log
    (tmp_path / "a.jsonl.zst").write_bytes(content)
    assert texts(tmp_path / "a.jsonl.zst") == TEXTS


def test_zstd_frames_that_are_to_be_skipped_are_skipped(tmp_path):
    half = len(ROWS) // 2
    parts = [SKIPPABLE, zstandard.compress(ROWS[:half]), SKIPPABLE, zstandard.compress(ROWS[half:]), SKIPPABLE]
    (tmp_path / "a.jsonl.zst").write_bytes(b"".join(parts))
    assert texts(tmp_path / "a.jsonl.zst") == TEXTS
