"""A dataset of the hub, row by row, from any place on: streamed, or from the local cache."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.config.data import HubData
from zeroscale.core import hub
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.sources import documents
from zeroscale.data.sources.documents import Item, Row

if TYPE_CHECKING:
    from datasets import Dataset

# The state of a stream is taken once in so many rows; rows since then are counted, and skipped on resuming.
_STATE_ROWS = 1000


HubPlace = dict[str, Any]
"""How far a dataset is read, as JSON: {"rows": n}; of a stream also its "state", and "from", the rows read at it."""


def commit(data: HubData) -> str | None:
    """The commit that `data.revision` names today; None for a folder, and offline.

    Raises:
        ZeroscaleError: when the hub is there and refuses, or is not there at all and needed.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE or Path(data.dataset).is_dir():
        return None
    _ask_hub(data)
    with _one_message(data):
        hub.check_dataset_access(data.dataset, data.revision)
        return HfApi().dataset_info(data.dataset, revision=data.revision).sha


def items(data: HubData, place: HubPlace | None) -> Iterator[Item]:
    """The dataset's texts from `place` on ({"rows": n, "from": rows at the state, "state": of the stream})."""
    with _one_message(data):
        dataset = _open(data)
        size = _bytes(dataset)
    for item in documents.texts(_rows(dataset, data, place or {"rows": 0}), data.document_start, data.split_on):
        yield item._replace(of=size)


def _rows(dataset: "Dataset", data: HubData, place: HubPlace) -> Iterator[Row]:
    number = place["rows"]
    state, at_state = place.get("state"), place.get("from", 0)
    with _one_message(data):
        if not data.streaming:
            source = iter(dataset.select(range(number, len(dataset))))
        else:
            if state is not None:
                dataset.load_state_dict(state)
            source = iter(dataset)
        # Skips the rows that were read after the state was taken.
        rows = islice(source, number - at_state if data.streaming else 0, None)
    # A stream that is left before its end must be closed, or it complains when Python ends.
    with contextlib.closing(source) if data.streaming else contextlib.nullcontext():
        while data.max_documents is None or number < data.max_documents:
            with _one_message(data):
                value = next(rows, None)
            if value is None:
                return
            number += 1
            if data.streaming and number - at_state >= _STATE_ROWS:
                state, at_state = dataset.state_dict(), number
            next_place = {"rows": number} if state is None else {"rows": number, "from": at_state, "state": state}
            where = f"{data.dataset}, {data.split}, row {number - 1}"
            yield documents.row(value, data, where, f"{number - 1}", next_place, None)


def _open(data: HubData) -> "Dataset":
    from datasets import load_dataset
    from huggingface_hub import constants

    _ask_hub(data)
    if not constants.HF_HUB_OFFLINE and not Path(data.dataset).is_dir():
        hub.check_dataset_access(data.dataset, data.revision)
    return load_dataset(data.dataset, data.config, split=data.split, revision=data.revision, streaming=data.streaming)


def _bytes(dataset: "Dataset") -> int | None:
    """About how many bytes of text the split has, where its card says so."""
    info = getattr(dataset, "info", None)
    split = (getattr(info, "splits", None) or {}).get(str(getattr(dataset, "split", "")))
    return getattr(split, "num_bytes", None) or None


def _ask_hub(data: HubData) -> None:
    from huggingface_hub import constants

    fault = None if constants.HF_HUB_OFFLINE else hub.unreachable_reason()
    if fault:
        raise ZeroscaleError(
            f"data.dataset={data.dataset}: the hub cannot be reached: {fault}. Offline, use data=stdlib or data=files;"
            " a dataset that an earlier run has downloaded is found with HF_HUB_OFFLINE=1 and data.streaming=false"
        )


@contextmanager
def _one_message(data: HubData) -> Iterator[None]:
    """One message for whatever `datasets`' readers and the HTTP library raise."""
    from huggingface_hub import constants

    try:
        yield
    except ZeroscaleError:
        raise
    except Exception as error:
        plain = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        reason = hub.refusal_reason(error, data.revision) or plain
        asked = f"config {data.config}, split {data.split}, revision {data.revision or 'main'}"
        offline = "; HF_HUB_OFFLINE is set, so only what is in the local cache is found" * constants.HF_HUB_OFFLINE
        raise ZeroscaleError(f"data.dataset={data.dataset} ({asked}): {reason}{offline}") from error
