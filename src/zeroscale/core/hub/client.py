"""The Hugging Face hub: download a repository's files by its name, and explain what a refusal means and what to do.

The one place that downloads models and tokenizers; `datasets`, which downloads its own, shares the explanations.
"""

import glob
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import duration
from zeroscale.core.hub import model_files

T = TypeVar("T")

PROBE_SECONDS = 5
# The longest pause that is made when the hub asks for one; a longer one becomes an error, at once.
PATIENCE_SECONDS = 60
PATIENCE_TIMES = 3

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


class Snapshot(NamedTuple):
    """Files of a repository at one commit, in the hub's local cache."""

    directory: Path
    commit: str


def is_repo_name(text: str) -> bool:
    """Whether a text can be a repository's name, OWNER/NAME or NAME, and is not meant as a path.

    Where the first part is an existing folder, the text is a path that does not exist: outputs/x is no repository.
    """
    return bool(_NAME.fullmatch(text)) and not ("/" in text and Path(text.partition("/")[0]).is_dir())


def unreachable_reason() -> str | None:
    """Why the hub cannot be reached, or None when it answers. Takes about 5 seconds at most.

    Call it first: `huggingface_hub` and `datasets` repeat a hopeless request for 23 seconds.
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

    # A DNS look-up has no time limit of its own: hence a thread that may be left behind.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS + 1)
    if outcome and outcome[0] is None:
        return None
    why = outcome[0] if outcome else f"nothing within {PROBE_SECONDS} seconds"
    return f"{constants.ENDPOINT} does not answer ({why})"


def snapshot(name: str, revision: str | None = None, only: Sequence[str] | None = None) -> Snapshot:
    """Download what scoring a model needs, or the files of `only`, unless the hub's local cache has them.

    An interrupted download is resumed. Where the hub cannot be reached, the cache is used as it is.

    Args:
        revision: a branch, tag or commit; None: main.

    Raises:
        ZeroscaleError: the hub does not answer or refuses; the message says what to do.
    """
    from huggingface_hub import constants

    if unreachable := unreachable_reason():
        return _cached(name, revision, unreachable, only)
    try:
        listed = _retry_when_limited(lambda: _list_files(name, revision), name)
        chosen = _choose(name, listed, only)
        directory = _download(name, revision, chosen)
        if shards := _shards(name, Path(directory), listed, chosen):
            directory = _download(name, Path(directory).name, shards)
    except ZeroscaleError:
        raise
    except Exception as error:  # huggingface_hub's own, its HTTP library's, and the disk's
        if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
            raise ZeroscaleError(f"{error.filename or constants.HF_HUB_CACHE}: {error.strerror}") from error
        broken = f"the download broke off ({_first_line(error)}); the same command tries again"
        why = refusal_reason(error, revision) or broken
        raise ZeroscaleError(f"{name} is no directory here, and cannot be had from the hub: {why}") from error
    return Snapshot(Path(directory), Path(directory).name)


def _download(name: str, revision: str | None, chosen: list[str]) -> str:
    """The directory in the cache with the chosen files; the commit is its name."""
    from huggingface_hub import snapshot_download

    escaped = [glob.escape(file) for file in chosen]
    return _retry_when_limited(lambda: snapshot_download(name, revision=revision, allow_patterns=escaped), name)


def check_dataset_access(name: str, revision: str | None = None) -> None:
    """Ask the hub for a dataset's facts; raises huggingface_hub's own errors, which `refusal_reason` explains.

    Call it before `datasets`, which sleeps through any wait that a 429 asks for, half an hour included.
    """
    from huggingface_hub import HfApi

    _retry_when_limited(lambda: HfApi().dataset_info(name, revision=revision, timeout=2 * PROBE_SECONDS), name)


def _list_files(name: str, revision: str | None) -> list[str]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(name, revision=revision, timeout=2 * PROBE_SECONDS)
    return [file.rfilename for file in info.siblings or []]


def _choose(name: str, listed: list[str], only: Sequence[str] | None) -> list[str]:
    """The files to download: `only`, or the configuration, the tokenizer and the file that the weights are read from:
    all of them, or the index of their shards."""
    if only is not None:
        if absent := [file for file in only if file not in listed]:
            raise ZeroscaleError(f"{name}: the hub's repository has no {' and no '.join(absent)}")
        return list(only)
    if model_files.CONFIG not in listed:
        raise ZeroscaleError(f"{name}: the hub's repository has no config.json: it is no model that can be read")
    if weights := model_files.first_weights(listed):
        described = (*model_files.CONFIG_FILES, *model_files.TOKENIZER_FILES)
        return [file for file in listed if file in described] + [weights]
    patterns = ", ".join(model_files.WEIGHTS)
    raise ZeroscaleError(f"{name}: the hub's repository holds no weights that can be read (looked for {patterns})")


def _shards(name: str, directory: Path, listed: list[str], chosen: list[str]) -> list[str]:
    """The shards that the index among the chosen files names."""
    if not model_files.is_index(chosen[-1]):
        return []
    shards = sorted(set(model_files.weight_map(directory / chosen[-1]).values()))
    if absent := [shard for shard in shards if shard not in listed]:
        raise ZeroscaleError(f"{name}: {chosen[-1]} names files that the hub's repository has not: {', '.join(absent)}")
    return shards


def _cached(name: str, revision: str | None, unreachable: str, only: Sequence[str] | None) -> Snapshot:
    """The files of an earlier, complete download in the hub's cache."""
    from huggingface_hub import constants, errors, try_to_load_from_cache

    try:
        cached_file = try_to_load_from_cache(name, only[0] if only else "config.json", revision=revision)
    except errors.HFValidationError as error:
        raise ZeroscaleError(f"{name}: {_first_line(error)}") from error
    repository = f"{name}@{revision}" if revision else name
    missing = f"does not hold {repository}"
    if isinstance(cached_file, str):
        directory = Path(cached_file).parent
        if all((directory / file).exists() for file in only) if only else _has_weights(directory):
            return Snapshot(directory, directory.name)
        missing = f"holds only a part of {repository}"
    files = " and ".join(only) if only else "config.json, the weights and the tokenizer's files"
    raise ZeroscaleError(
        f"{name} is no directory here, and the hub cannot be asked: {unreachable}. Its local cache"
        f" ({constants.HF_HUB_CACHE}) {missing}. Offline, put {files} into a directory and give that; or run once where"
        " there is a network and bring the cache along (HF_HOME names its folder; with HF_HUB_OFFLINE=1 nothing is"
        " asked)"
    )


def _has_weights(directory: Path) -> bool:
    try:
        return bool(model_files.weight_files(directory))
    except ZeroscaleError:
        return False


def refusal_reason(error: BaseException, revision: str | None = None) -> str | None:
    """What the hub's refusal means and what to do, from the error or its causes; None where the hub raised none."""
    from huggingface_hub import constants, errors

    for cause in _error_chain(error):
        if isinstance(cause, errors.GatedRepoError):
            return (
                f"access to it is granted on its page ({constants.ENDPOINT}); ask there, then log in (`hf auth login`,"
                " or HF_TOKEN)"
            )
        if isinstance(cause, errors.RevisionNotFoundError):
            return f"the repository has no revision {revision or 'main'}"
        if isinstance(cause, errors.RepositoryNotFoundError):
            return (
                f"{constants.ENDPOINT} has no such repository, or it is private (log in with `hf auth login`, or set"
                " HF_TOKEN)"
            )
        status = _status(cause)
        if status == 401:
            return "the hub does not accept the login (HTTP 401): log in again with `hf auth login`, or mend HF_TOKEN"
        if status == 429:
            wait = _requested_wait(cause)
            later = "try again later" if wait is None else f"try again in {duration(wait, 'short')}"
            return f"too many requests (HTTP 429): {later}; a login (HF_TOKEN) raises the limit"
        if status is not None:
            return f"the hub answers {_first_line(cause)}"
    return None


def _retry_when_limited(request: Callable[[], T], name: str) -> T:
    """Repeat a request after HTTP 429, where the pause that the hub asks for is short."""
    for _ in range(PATIENCE_TIMES):
        try:
            return request()
        except Exception as error:
            waits = [_requested_wait(cause) for cause in _error_chain(error) if _status(cause) == 429]
            if not waits or waits[0] is None or waits[0] > PATIENCE_SECONDS:
                raise
        print(f"{name}: the hub asks for a pause of {duration(waits[0], 'short')}", file=sys.stderr, flush=True)
        time.sleep(waits[0])
    return request()


def _requested_wait(error: BaseException) -> float | None:
    """Seconds of a 429's `Retry-After` (a number or a date), or of the hub's own `RateLimit: "api";r=0;t=55`."""
    headers: Mapping[str, str] = error.response.headers  # type: ignore[attr-defined]
    retry_after = str(headers.get("Retry-After") or "").strip()
    if retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        limit = re.search(r"\bt\s*=\s*(\d+)", str(headers.get("RateLimit") or ""))
        return float(limit[1]) if limit else None


def _status(error: BaseException) -> int | None:
    """The HTTP status, of an error that has a response."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _error_chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
