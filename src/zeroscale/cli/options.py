"""The options of a command line, beside its overrides: Hydra's, by Hydra's names, and `--help`."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.own import folder

CFG = ("job", "hydra", "all")
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
# Hydra's options that mean nothing here, and what to do instead.
_REFUSED = {
    "--config-path": "the shipped conf/ is always read: --config-dir DIR puts your own before it",
    "-cp": "the shipped conf/ is always read: --config-dir DIR puts your own before it",
    "--run": "a run is what every command does",
    "-r": "a run is what every command does",
    "--experimental-rerun": "zeroscale reproduce run=DIR makes a recorded run again",
    "--hydra-help": "zeroscale COMMAND --help lists what can be set",
}


@dataclass
class Options:
    """What stands on a command line beside its overrides."""

    rest: list[str] = field(default_factory=list)
    """Overrides, in their order."""
    help: bool = False
    multirun: bool = False
    config_name: str | None = None
    cfg: str | None = None
    info: str | None = None
    package: str | None = None
    resolve: bool = False


def parse(arguments: Sequence[str]) -> Options:
    """Reads the options; `--config-dir` takes effect at once, for this process and its children.

    Raises:
        ZeroscaleError: an option that is not known, lacks its value, or is none of Hydra's that work here.
    """
    found = Options()
    words = iter(arguments)
    for word in words:
        option, separator, inline = word.partition("=") if word.startswith("--") else (word, "", "")
        value = inline if separator else None
        if option in ("-h", "--help"):
            found.help = True
        elif option in ("-m", "--multirun"):
            found.multirun = True
        elif option == "--resolve":
            found.resolve = True
        elif option in ("-cd", "--config-dir"):
            _use_folder(_value(option, value, words, "the folder of your own"))
        elif option in ("-cn", "--config-name"):
            found.config_name = _value(option, value, words, "the name of a file in conf/").removesuffix(".yaml")
        elif option in ("-c", "--cfg"):
            found.cfg = _one_of(option, _value(option, value, words, "job, hydra or all"), CFG)
        elif option in ("-i", "--info"):
            found.info = _one_of(option, value or _next_of(words, INFO, found), INFO)
        elif option in ("-p", "--package"):
            found.package = _value(option, value, words, "the group that --cfg shows")
        elif option in _REFUSED:
            raise ZeroscaleError(f"{option} does not work here: {_REFUSED[option]}")
        else:
            found.rest.append(word)
    return found


def _value(option: str, inline: str | None, words: Iterator[str], what: str) -> str:
    value = inline if inline is not None else next(words, "")
    if not value or (value.startswith("-") and inline is None):
        raise ZeroscaleError(f"{option} needs a value: {what}")
    return value


def _next_of(words: Iterator[str], known: Sequence[str], found: Options) -> str:
    """The next word where it is one of those that are known, which may be left out; "all" else."""
    word = next(words, None)
    if word is None or word in known:
        return word or "all"
    found.rest += [word]
    return "all"


def _one_of(option: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise ZeroscaleError(f"{option} {value}: should be {', '.join(known[:-1])} or {known[-1]}")
    return value


def _use_folder(name: str) -> None:
    directory = Path(paths.check_length(name)).absolute()
    if not directory.is_dir():
        raise ZeroscaleError(f"--config-dir {name}: there is no such folder; zeroscale init DIR makes one")
    os.environ[folder.VARIABLE] = str(directory)
