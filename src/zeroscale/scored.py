"""Where the results of a checkpoint lie. Reads no weights: they may have been pruned, or be on another machine."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from zeroscale.core import hub
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json

_STEP = re.compile(r"step-(\d{8})")


@dataclass(frozen=True)
class ResultsLocation:
    """A checkpoint's results: what tables call it, the name by which it can be scored, and the folder with its results.

    The folder may not be there: nothing has been scored yet.
    """

    label: str
    given: str
    out: Path

    def command(self, cards: Iterable[str], protocol: str, more: str = "") -> str:
        """The command that scores it on cards."""
        wanted = [f"checkpoint={self.given}", f"cards=[{','.join(cards)}]"]
        wanted += [f"protocol={protocol}"] if protocol != "paper" else []
        return " ".join(["zeroscale eval", *map(shlex.quote, wanted), *([more] if more else [])])


def find_results(given: str, outputs: Path, every: bool = False) -> list[ResultsLocation]:
    """The results of a run (of its last checkpoint, or with `every` of all), of one of its checkpoints, of a
    directory or name that is not ours; or those in a folder of results.

    Raises:
        ZeroscaleError: there is no such thing, or it has not been scored; says what to do.
    """
    path = Path(given)
    if not path.is_dir():
        return [_by_name(given, path, outputs)]
    if (path / "config.yaml").is_file():
        return _of_run(path, given, every)
    if (path / "meta.json").is_file():
        cell = path.parent.parent
        ours = (cell / "config.yaml").is_file()
        out = cell / "evals" / path.name if ours else path / "evals"
        return [ResultsLocation(_label(cell.name, path.name), given, out)]
    if (path / "config.json").is_file():
        from zeroscale import scoring  # its results are filed under its weights' hash

        target = scoring.resolve_checkpoint(path, outputs)
        return [ResultsLocation(target.label, given, target.out)]
    if (path / "evals").is_dir():
        source = path / "source.json"
        origin = read_json(source).get("checkpoint", given) if source.is_file() else given
        return [ResultsLocation(path.resolve().name, origin, path / "evals")]
    if any(path.glob("[!.]*.examples.parquet")):
        cell = path.resolve().parent.parent
        return [ResultsLocation(_label(cell.name, path.resolve().name), given, path)]
    raise ZeroscaleError(
        f"{given} holds no results: it is no run (config.yaml), no checkpoint (meta.json), no Hugging Face directory "
        "(config.json), and there are no scores in it (evals/)"
    )


def _of_run(path: Path, given: str, every: bool) -> list[ResultsLocation]:
    there = {found.name for found in (*path.glob("checkpoints/step-*"), *path.glob("evals/step-*"))}
    steps = sorted(name for name in there if _STEP.fullmatch(name))
    if not steps:
        raise ZeroscaleError(f"{given} is a run that has neither a checkpoint nor a score yet; train it first")
    if every:
        scored = [step for step in steps if (path / "evals" / step).is_dir()]
        return [ResultsLocation(_label(path.name, step), given, path / "evals" / step) for step in scored]
    return [ResultsLocation(_label(path.name, steps[-1]), given, path / "evals" / steps[-1])]


def _label(name: str, step: str) -> str:
    match = _STEP.fullmatch(step)
    return f"{name}, step {int(match[1]):,}" if match else name


def _by_name(given: str, path: Path, outputs: Path) -> ResultsLocation:
    """A name of the hub that has been scored, by the origin recorded beside its scores."""
    if path.exists() or not hub.is_name(given):
        raise ZeroscaleError(f"{given} is not a directory, and no name of the hub (OWNER/NAME)")
    sources = sorted((outputs / "eval").glob("*/source.json"))
    found = [source.parent for source in sources if read_json(source).get("checkpoint") == given]
    if not found:
        raise ZeroscaleError(
            f"{given} is no directory here, and no checkpoint of that name has been scored in {outputs / 'eval'}. "
            f"Score it with: zeroscale eval checkpoint={given} cards=… data_dir=…"
        )
    if len(found) > 1:
        raise ZeroscaleError(
            f"{given} has been scored at several revisions; name the folder of one: {', '.join(map(str, found))}"
        )
    return ResultsLocation(found[0].name, given, found[0] / "evals")
