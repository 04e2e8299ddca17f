"""Benchmark data from the Hugging Face hub, with an answer within seconds when there is no network."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from zeroscale.errors import ZeroscaleError
from zeroscale.harness.card import Hub

PROBE_SECONDS = 3.0


def reachable(endpoint: str) -> bool:
    """Whether a connection to the hub (or to the proxy before it) opens within `PROBE_SECONDS`."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    proxy = None if proxy_bypass(host) else getproxies().get(parts.scheme)
    target = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else parts
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        with socket.create_connection((target.hostname or "", port), timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False


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
        ZeroscaleError: when it is in neither, or the hub refuses.
    """
    import datasets
    import huggingface_hub.constants as constants

    name = f"{hub.id} (config {hub.config}, split {hub.split})"
    offline = constants.HF_HUB_OFFLINE or not reachable(constants.ENDPOINT)
    quiet = datasets.utils.logging.get_verbosity()
    datasets.utils.logging.set_verbosity_error()
    try:
        with _offline_if(offline):
            table = datasets.load_dataset(hub.id, hub.config, split=hub.split, revision=hub.revision)
        return table.to_list()
    except Exception as error:  # the libraries raise a dozen kinds; all of them mean that there are no rows
        forced = os.environ.get("HF_HUB_OFFLINE")
        reason = "HF_HUB_OFFLINE is set" if forced else f"{constants.ENDPOINT} cannot be reached"
        message = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ZeroscaleError(
            f"{name} is not in the local cache and {reason}. Fetch it where there is a network, or give the "
            f"benchmark's files with cards_from=files data_dir=DIR."
            if offline
            else f"{name} could not be loaded from the hub: {message}"
        ) from error
    finally:
        datasets.utils.logging.set_verbosity(quiet)
