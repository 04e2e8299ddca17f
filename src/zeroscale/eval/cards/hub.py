"""Benchmark data from the Hugging Face hub, with an answer within seconds when there is no network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zeroscale.core import hub as service
from zeroscale.eval.cards.rows import MissingData
from zeroscale.eval.cards.schema import Hub


@contextmanager
def _offline_if(unreachable: bool) -> Iterator[None]:
    """Switches the libraries to their caches: else they retry for about 20 seconds before they give up."""
    import datasets.config
    import huggingface_hub.constants as constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    if unreachable:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def load(hub: Hub) -> list[dict[str, Any]]:
    """All rows of a split, from the network or from the local cache.

    Raises:
        MissingData: when it is in neither, or the hub refuses.
    """
    import datasets

    name = f"{hub.id} (config {hub.config}, split {hub.split})"
    unreachable = service.unreachable_reason()
    quiet = datasets.utils.logging.get_verbosity()
    datasets.utils.logging.set_verbosity_error()
    try:
        if not unreachable:
            service.check_dataset_access(hub.id, hub.revision)
        with _offline_if(unreachable is not None):
            table = datasets.load_dataset(hub.id, hub.config, split=hub.split, revision=hub.revision)
        return table.to_list()
    except Exception as error:  # the libraries raise a dozen kinds; all of them mean that there are no rows
        plain = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise MissingData(
            f"{name} is not in the local cache, and the hub cannot be asked: {unreachable}. Fetch it where there is a "
            "network, or give the benchmark's files with cards_from=files data_dir=DIR."
            if unreachable
            else f"{name} could not be loaded from the hub: {service.refusal_reason(error, hub.revision) or plain}"
        ) from error
    finally:
        datasets.utils.logging.set_verbosity(quiet)
