"""The Hugging Face hub: a repository's files by name, and what a refusal means, in words that say what to do.

The one place that downloads models and tokenizers; `datasets`, which fetches its own, shares the words.
"""

import fnmatch
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json

T = TypeVar("T")

PROBE_SECONDS = 5
# A wait of at most so long is waited when the hub asks for it; a longer one is said, and nothing waits.
PATIENCE_SECONDS = 60
PATIENCE_TIMES = 3

TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "encoder.json",
    "vocab.bpe",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "zeroscale_tokenizer.json",
)
CONFIG_FILES = ("config.json", "generation_config.json")
# The first of these that a repository has is what is read of it: whole before shards, safetensors before pickles.
WEIGHTS = (
    ("model.safetensors",),
    ("model.safetensors.index.json", "model-*.safetensors"),
    ("pytorch_model.bin",),
    ("pytorch_model.bin.index.json", "pytorch_model-*.bin"),
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


class Snapshot(NamedTuple):
    """Files of a repository at one commit, in the hub's local cache."""

    directory: Path
    commit: str


def is_name(text: str) -> bool:
    """Whether it can be a repository's name, OWNER/NAME or NAME, and is not meant for a path.

    Where the first part is a folder here, the whole is a path that is not there: nobody asks the hub for outputs/x.
    """
    return bool(_NAME.fullmatch(text)) and not ("/" in text and Path(text.partition("/")[0]).is_dir())


def fault() -> str | None:
    """Why the hub cannot be asked, or None when it answers. Takes about 5 seconds at most.

    To be asked first: `huggingface_hub` and `datasets` repeat a hopeless request for 23 seconds.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    outcome: list[Exception | None] = []

    def probe() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
            outcome.append(None)
        except Exception as error:  # of whichever HTTP library huggingface_hub uses
            outcome.append(error)

    # Looking up a host's name has no time limit of its own: hence a thread that may be left behind.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS + 1)
    if outcome and outcome[0] is None:
        return None
    why = outcome[0] if outcome else f"nothing within {PROBE_SECONDS} seconds"
    return f"{constants.ENDPOINT} does not answer ({why})"


def snapshot(name: str, revision: str | None = None, only: Sequence[str] | None = None) -> Snapshot:
    """Downloads what is needed to score a model, or the files of `only`, unless the hub's local cache has them.

    A file that breaks off goes on from where it broke. Where the hub cannot be asked, the cache is taken as it is.

    Args:
        revision: a branch, tag or commit; None: main.

    Raises:
        ZeroscaleError: nobody answers, or the hub refuses; says what to do.
    """
    from huggingface_hub import constants, snapshot_download

    unreachable = fault()
    if unreachable:
        return _cached(name, revision, unreachable, only)
    try:
        there = _patiently(lambda: _listing(name, revision), name)
        chosen = _choose(name, there, only)
        directory = _patiently(lambda: snapshot_download(name, revision=revision, allow_patterns=chosen), name)
    except ZeroscaleError:
        raise
    except Exception as error:  # huggingface_hub's own, its HTTP library's, and the disk's
        if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
            raise ZeroscaleError(f"{error.filename or constants.HF_HUB_CACHE}: {error.strerror}") from error
        why = reason(error, revision) or f"the download broke off ({_first_line(error)}); the same command tries again"
        raise ZeroscaleError(f"{name} is no directory here, and cannot be had from the hub: {why}") from error
    return Snapshot(Path(directory), Path(directory).name)


def weight_files(names: Iterable[str]) -> list[str]:
    """The files, of all that a directory holds, that its weights are read from, an index included; [] for none."""
    there = sorted(name for name in names if "/" not in name)
    for patterns in WEIGHTS:
        if patterns[0] in there:
            return [name for pattern in patterns for name in fnmatch.filter(there, pattern)]
    return []


def ask_for_dataset(name: str, revision: str | None = None) -> None:
    """Raises what the hub says against a dataset, for `reason` to put into words.

    Before `datasets` is let at it, which sleeps through any wait that a 429 asks for, half an hour included.
    """
    from huggingface_hub import HfApi

    _patiently(lambda: HfApi().dataset_info(name, revision=revision, timeout=2 * PROBE_SECONDS), name)


def _listing(name: str, revision: str | None) -> list[str]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(name, revision=revision, timeout=2 * PROBE_SECONDS)
    return [file.rfilename for file in info.siblings or []]


def _choose(name: str, there: list[str], only: Sequence[str] | None) -> list[str]:
    """The files to fetch: those asked for, or the configuration, the tokenizer and one set of weights."""
    if only is not None:
        if absent := [file for file in only if file not in there]:
            raise ZeroscaleError(f"{name}: the hub's repository has no {' and no '.join(absent)}")
        return list(only)
    if "config.json" not in there:
        raise ZeroscaleError(f"{name}: the hub's repository has no config.json: it is no model that can be read")
    if weights := weight_files(there):
        return [file for file in there if file in CONFIG_FILES or file in TOKENIZER_FILES] + weights
    wanted = ", ".join(patterns[0] for patterns in WEIGHTS)
    raise ZeroscaleError(f"{name}: the hub's repository holds no weights that can be read (looked for {wanted})")


def _cached(name: str, revision: str | None, unreachable: str, only: Sequence[str] | None) -> Snapshot:
    """What an earlier download left in the hub's cache, if it is whole."""
    from huggingface_hub import constants, errors, try_to_load_from_cache

    try:
        found = try_to_load_from_cache(name, only[0] if only else "config.json", revision=revision)
    except errors.HFValidationError as error:
        raise ZeroscaleError(f"{name}: {_first_line(error)}") from error
    wanted = f"{name}@{revision}" if revision else name
    lacks = f"does not hold {wanted}"
    if isinstance(found, str):
        directory = Path(found).parent
        if all((directory / file).exists() for file in only) if only else _has_weights(directory):
            return Snapshot(directory, directory.name)
        lacks = f"holds only a part of {wanted}"
    files = " and ".join(only) if only else "config.json, the weights and the tokenizer's files"
    raise ZeroscaleError(
        f"{name} is no directory here, and the hub cannot be asked: {unreachable}. Its local cache"
        f" ({constants.HF_HUB_CACHE}) {lacks}. Offline, put {files} into a directory and give that; or run once where"
        " there is a network and bring the cache along (HF_HOME names its folder; with HF_HUB_OFFLINE=1 nothing is"
        " asked)"
    )


def _has_weights(directory: Path) -> bool:
    first = next(iter(weight_files(path.name for path in directory.iterdir())), "")
    names = read_json(directory / first).get("weight_map", {}).values() if first.endswith(".json") else ()
    return bool(first) and all((directory / name).exists() for name in names)


def reason(error: BaseException, revision: str | None = None) -> str | None:
    """What the hub's refusal means, looked for in the error and its causes; None when it is none of the hub's."""
    from huggingface_hub import constants, errors

    for one in _chain(error):
        if isinstance(one, errors.GatedRepoError):
            return (
                f"access to it is granted on its page ({constants.ENDPOINT}); ask there, then log in (`hf auth login`,"
                " or HF_TOKEN)"
            )
        if isinstance(one, errors.RevisionNotFoundError):
            return f"the repository has no revision {revision or 'main'}"
        if isinstance(one, errors.RepositoryNotFoundError):
            return (
                f"{constants.ENDPOINT} has no such repository, or it is private (log in with `hf auth login`, or set"
                " HF_TOKEN)"
            )
        status = _status(one)
        if status == 401:
            return "the hub does not accept the login (HTTP 401): log in again with `hf auth login`, or mend HF_TOKEN"
        if status == 429:
            wait = _wait_asked(one)
            later = "try again later" if wait is None else f"try again in {_duration(wait)}"
            return f"too many requests (HTTP 429): {later}; a login (HF_TOKEN) raises the limit"
        if status is not None:
            return f"the hub answers {_first_line(one)}"
    return None


def _patiently(ask: Callable[[], T], name: str) -> T:
    """Asks again after a 429, when the wait that it asks for is short."""
    for _ in range(PATIENCE_TIMES):
        try:
            return ask()
        except Exception as error:
            waits = [_wait_asked(one) for one in _chain(error) if _status(one) == 429]
            if not waits or waits[0] is None or waits[0] > PATIENCE_SECONDS:
                raise
        print(f"{name}: the hub asks for a pause of {_duration(waits[0])}", file=sys.stderr, flush=True)
        time.sleep(waits[0])
    return ask()


def _wait_asked(error: BaseException) -> float | None:
    """Seconds of a 429's `Retry-After` (a number or a date), or of the hub's own `RateLimit: "api";r=0;t=55`."""
    headers: Any = error.response.headers  # type: ignore[attr-defined]
    told = str(headers.get("Retry-After") or "").strip()
    if told.isdigit():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        limit = re.search(r"\bt\s*=\s*(\d+)", str(headers.get("RateLimit") or ""))
        return float(limit[1]) if limit else None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _status(error: BaseException) -> int | None:
    """The HTTP status, of an error that has a response."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
