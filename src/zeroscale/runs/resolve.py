"""Where the results of a checkpoint lie. Reads no weights: they may have been pruned, or be on another machine."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import hub
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, sha256_file, sha256_json

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
        target = resolve_checkpoint(path, outputs)
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
    if path.exists() or not hub.is_repo_name(given):
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


@dataclass(frozen=True)
class CheckpointRef:
    """What is to be scored and where its scores belong. `run` is None for a checkpoint that is not ours."""

    name: str
    path: Path
    out: Path
    weights_hash: str
    run: TrainConfig | None
    origin: str = ""
    """Of a checkpoint that is not ours: the directory or the hub's name, as given."""
    revision: str | None = None
    """The commit of a checkpoint from the hub."""

    @property
    def label(self) -> str:
        """As tables call it: a run's checkpoints differ by their step."""
        step = self.path.name.removeprefix("step-")
        return f"{self.name}, step {int(step):,}" if self.run is not None and step.isdigit() else self.name

    @property
    def study(self) -> Path | None:
        """The folder of the study that a run's checkpoint belongs to."""
        return self.path.parents[2] if self.run is not None and self.out.parent.name == "evals" else None


def resolve_checkpoint(where: str | Path, outputs: Path, revision: str | None = None) -> CheckpointRef:
    """Resolves a run's directory (its last whole checkpoint), one of its checkpoints, a Hugging Face directory, or,
    where there is no such path, a name of the hub, whose files are downloaded.

    Args:
        revision: of the hub's repository.

    Raises:
        ZeroscaleError: it is none of these; says what it lacks.
    """
    path = Path(where)
    if path.is_dir():
        if revision is not None:
            raise ZeroscaleError(f"revision={revision} belongs to a name of the hub, but {path} is a directory here")
        return _find_local(path, outputs)
    if path.exists() or not hub.is_repo_name(str(where)):
        raise ZeroscaleError(
            f"{path} is not a directory: give a run's, one of its checkpoints, a Hugging Face one, or a name of the "
            "hub (OWNER/NAME)"
        )
    directory, commit = hub.snapshot(str(where), revision)
    return _foreign(directory, str(where), outputs, commit)


def _find_local(path: Path, outputs: Path) -> CheckpointRef:
    from zeroscale.runs import checkpoint

    if (path / checkpoint.META).is_file():
        cell = path.parent.parent
        meta = checkpoint.verify(path)
        run = build_config(TrainConfig, meta["settings"])
        out = cell / "evals" / path.name if (cell / "config.yaml").is_file() else path / "evals"
        return CheckpointRef(cell.name, path, out, meta["sha256"][checkpoint.WEIGHTS], run)
    if (path / "config.yaml").is_file():
        newest = checkpoint.latest(path, print)
        if newest is None:
            raise ZeroscaleError(f"{path} is a run without a whole checkpoint yet; train it first")
        return _find_local(newest, outputs)
    if (path / "config.json").is_file():
        return _foreign(path, path.resolve().name, outputs)
    raise ZeroscaleError(
        f"{path} is not a checkpoint: it has no config.yaml (a run), no {checkpoint.META} (one of its checkpoints) "
        "and no config.json (a Hugging Face directory)"
    )


def _foreign(directory: Path, called: str, outputs: Path, commit: str | None = None) -> CheckpointRef:
    """A checkpoint that is not ours: its scores lie under its name and its weights' hash."""
    digest = _weights_hash(directory)
    name = f"{_safe_name(called)}-{digest[:8]}"
    origin = called if commit else str(directory)
    return CheckpointRef(name, directory, outputs / "eval" / name / "evals", digest, None, origin, commit)


def _safe_name(text: str) -> str:
    """A name of the kind that cells and studies bear: letters, digits, dot, underscore, dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"


def _weights_hash(directory: Path) -> str:
    """sha256 over the weight files' own hashes, by name; of those files only that are read."""
    files = [name for name in hub.weight_files(path.name for path in directory.iterdir()) if not name.endswith(".json")]
    if not files:
        raise ZeroscaleError(f"{directory} has a config.json but no weights (*.safetensors or pytorch_model.bin)")
    return sha256_json({name: sha256_file(directory / name) for name in files})
