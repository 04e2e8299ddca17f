"""Where a benchmark's rows come from: its own files, the hub, or the embedded sample. Never another than asked for."""

from collections.abc import Callable, Iterator
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.parsing import plain_values
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import MissingData, Row, Rows, Source, jsonl
from zeroscale.eval.cards.schema import Hub

# Each row of a sample says so: nobody can mistake one for a benchmark.
SAMPLE_MARK = "hand-written sample, not the benchmark"


def read(
    card: Card,
    source: Source,
    data_dir: Path | None,
    parse: Callable[[list[Path]], Iterator[Row]],
) -> Rows:
    """All rows of a card's data; `parse` reads the benchmark's released files.

    Raises:
        ZeroscaleError: when the source is not there, says what was looked for, or a row is broken, or there is none.
    """
    if source == "files":
        paths, excerpt = _find(card, data_dir)
        rows = Rows(source, [path.name for path in paths], _read_text(paths, parse), excerpt)
    elif source == "hub":
        if card.sources.hub is None:
            raise MissingData(f"card {card.name}: is not on the hub; give its files with data_dir=DIR")
        hub = card.sources.hub
        rows = Rows(source, [f"{hub.id}/{hub.config}"], _read_hub(hub))
    elif source == "sample":
        if card.sample_path is None:
            raise MissingData(f"card {card.name}: has no sample; give its files with cards_from=files data_dir=DIR")
        rows = Rows(source, [card.sample_path.name], _read_sample(card.sample_path))
    else:
        raise ZeroscaleError(f"cards_from={source!r}: a source is files, hub or sample")
    if not rows.rows:
        raise ZeroscaleError(f"card {card.name}: {', '.join(rows.origin)} holds no examples")
    return rows


def read_pool(
    card: Card, source: Source, data_dir: Path | None, parse: Callable[[list[Path]], Iterator[Row]]
) -> Rows | None:
    """Rows that examples in a prompt may be drawn from and that are not scored; None where there are none."""
    if source == "files" and card.sources.files and data_dir:
        paths = _first_whole(card.sources.files.pool, _folders(card, data_dir))
        return Rows(source, [path.name for path in paths], _read_text(paths, parse)) if paths else None
    hub = card.sources.hub
    if source == "hub" and hub and hub.pool_split:
        pool = hub.model_copy(update={"split": hub.pool_split})
        return Rows(source, [f"{hub.id}/{hub.config}, {pool.split}"], _read_hub(pool))
    return None


def available(card: Card, source: Source, data_dir: Path | None) -> str | None:
    """None where the card's data can be read from here; else what is missing, for a list of cards left out.

    Looks for files only: whether the hub answers is known when it is asked.
    """
    if source == "files":
        try:
            find_files(card, data_dir)
        except ZeroscaleError as error:
            return str(error)
    elif source == "hub" and card.sources.hub is None:
        return f"card {card.name}: is not on the hub; give its files with data_dir=DIR"
    elif source == "sample" and not (card.sample_path and card.sample_path.is_file()):
        return f"card {card.name}: has no sample"
    return None


def find_files(card: Card, data_dir: Path | None) -> list[Path]:
    """The files of the card's first alternative that is whole, in data_dir/<directory> or in data_dir itself; where
    there is none, the first of its excerpts."""
    return _find(card, data_dir)[0]


def _find(card: Card, data_dir: Path | None) -> tuple[list[Path], str | None]:
    """As `find_files`, and what the card calls them where they are an excerpt."""
    files = card.sources.files
    if files is None:
        raise MissingData(f"card {card.name}: reads no files; use cards_from=hub")
    if data_dir is None:
        raise ZeroscaleError(f"card {card.name}: cards_from=files needs data_dir=DIR, the folder of benchmark files")
    folders = _folders(card, data_dir)
    if paths := _first_whole(files.names, folders):
        return paths, None
    for excerpt in files.excerpts:
        if paths := _first_whole([excerpt.names], folders):
            return paths, excerpt.what
    names = "; or ".join(" and ".join(alternative) for alternative in files.names)
    elsewhere = [name for name in ("hub", "sample") if getattr(card.sources, name)]
    raise MissingData(
        f"card {card.name}: its files are not in {data_dir}. Looked in {files.directory}/ and in the folder itself "
        f"for: {names}. Put them there"
        + (", or use cards_from=hub" if "hub" in elsewhere else "")
        + (" (or cards_from=sample for a few hand-written examples)" if "sample" in elsewhere else "")
        + "."
    )


def _folders(card: Card, data_dir: Path) -> list[Path]:
    return [data_dir / card.sources.files.directory, data_dir] if card.sources.files else []


def _first_whole(alternatives: list[list[str]], folders: list[Path]) -> list[Path]:
    """The paths of the first alternative whose files are all in one of the folders; empty where none is."""
    for folder in folders:
        for alternative in alternatives:
            paths = [folder / name for name in alternative]
            if all(path.is_file() for path in paths):
                return paths
    return []


def _read_text(paths: list[Path], parse: Callable[[list[Path]], Iterator[Row]]) -> list[Row]:
    try:
        return list(parse(paths))
    except UnicodeDecodeError as error:
        names = ", ".join(str(path) for path in paths)
        raise ZeroscaleError(f"{names}: not UTF-8 text (byte {error.start}: {error.reason})") from error
    except OSError as error:
        raise ZeroscaleError(f"{error.filename} cannot be read: {error.strerror}") from error


def _read_sample(path: Path) -> list[Row]:
    if not path.is_file():
        raise MissingData(f"{path}: the card's sample does not exist")
    rows = _read_text([path], jsonl)
    for row in rows:
        if row.content.get("note") != SAMPLE_MARK:
            raise row.fault(f"a sample's row must carry `note: {SAMPLE_MARK}`")
    return [Row(row.where, {key: value for key, value in row.content.items() if key != "note"}) for row in rows]


def _read_hub(hub: Hub) -> list[Row]:
    from zeroscale.eval.cards.hub import load

    name = f"{hub.id} ({hub.config}, {hub.split})"
    rows = [Row(f"{name}, row {number}", content) for number, content in enumerate(load(hub), 1)]
    for row in rows:
        plain_values.check(row.content, row.where, finite=False)
    return rows
