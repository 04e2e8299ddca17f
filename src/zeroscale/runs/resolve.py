"""What a user's name stands for: a run, a checkpoint, a study, or a model that no run here made; and where its results
lie. Reads no weights: they may have been pruned, or be on another machine."""

import re
import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict

from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import hub, json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file, sha256_json
from zeroscale.core.hub import model_files
from zeroscale.runs import checkpoint, layout
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of ours. It may have been pruned while its results stay, or lie outside of its run."""

    directory: Path
    results_directory: Path

    @property
    def run(self) -> Run | None:
        """The run that it belongs to; None where it lies alone."""
        directory = layout.run_of(self.directory)
        return Run(directory) if layout.is_run(directory) else None

    @property
    def label(self) -> str:
        """As tables call it."""
        return _label(layout.run_of(self.directory).name, layout.step_of(self.directory))


@dataclass(frozen=True)
class ExternalModel:
    """A model that no run here made: in Hugging Face's format, on the hub, or known by its scores alone."""

    origin: str
    """Its directory or the hub's name, as given or as recorded beside its scores."""
    directory: Path | None = None
    """Where its weights lie; None on the hub, or where only its scores are here."""
    scores: Path | None = None
    """outputs/eval/NAME, where that was named."""

    def results_directory(self, outputs: Path) -> Path:
        """Where its results lie.

        Raises:
            ZeroscaleError: a name of the hub of which nothing here has been scored, or several revisions.
        """
        if self.scores is not None:
            return self.scores / layout.EVALS
        if self.directory is not None:
            return _external(self.directory, self.directory.resolve().name, outputs).out
        return _scored_by_name(self.origin, outputs) / layout.EVALS


def resolve(name: str | Path) -> Run | Checkpoint | Study | ExternalModel:
    """What a name stands for: a run's directory, one of its checkpoints (or the directory of its results), a study's
    directory, a directory in Hugging Face's format, the scores of such a model, or, where there is no such path, a name
    of the hub. Downloads nothing.

    Raises:
        ZeroscaleError: it is none of these; says what it lacks.
    """
    path = Path(name)
    if not path.is_dir():
        if path.exists() or not hub.is_repo_name(str(name)):
            raise ZeroscaleError(
                f"{name} is not a directory: give a run's, one of its checkpoints, a Hugging Face one, or a name of "
                "the hub (OWNER/NAME)"
            )
        return ExternalModel(str(name))
    if layout.is_run(path):
        return Run(path)
    if layout.is_checkpoint(path):
        return Checkpoint(path, layout.results_of(path))
    if (path / layout.HF_CONFIG).is_file():
        return ExternalModel(str(path), path)
    if (path / layout.EVALS).is_dir():
        source = path / layout.ORIGIN
        origin = read_origin(path)["checkpoint"] if source.is_file() else str(name)
        return ExternalModel(origin, scores=path)
    if layout.has_examples(path):
        whole = path.resolve()
        return Checkpoint(layout.run_of(whole) / layout.CHECKPOINTS / whole.name, path)
    if layout.run_directories(path):
        return Study(path)
    raise ZeroscaleError(
        f"{name} is not a checkpoint and holds no results: it has no {layout.CONFIG} (a run), no {layout.META} (one of "
        f"its checkpoints), no {layout.HF_CONFIG} (a Hugging Face directory), no {layout.EVALS}/ (scores), and no runs "
        "in it (a study)"
    )


def _refuse_study(study: Study) -> ZeroscaleError:
    names = [path.name for path in layout.run_directories(study.directory)]
    return ZeroscaleError(f"{study.directory} is a study: give one of its runs: {', '.join(names[:4])}")


def run_behind(name: str | Path) -> Run | None:
    """The run that a name stands for, or that its checkpoint belongs to; None for a model that no run here made.

    Raises:
        ZeroscaleError: it is nothing that `resolve` knows, or a study.
    """
    resolved = resolve(name)
    if isinstance(resolved, Study):
        raise _refuse_study(resolved)
    if isinstance(resolved, Checkpoint):
        return resolved.run
    return resolved if isinstance(resolved, Run) else None


class Origin(TypedDict):
    """source.json beside the scores of a checkpoint that no run here made: its name and its hash."""

    checkpoint: str
    weights_hash: NotRequired[str]
    revision: NotRequired[str | None]
    commit: NotRequired[str | None]
    files: NotRequired[dict[str, str]]


def read_origin(directory: Path) -> Origin:
    """source.json of outputs/eval/NAME.

    Raises:
        ZeroscaleError: it is missing or damaged.
    """
    return json_records.read(Origin, directory / layout.ORIGIN, "score the checkpoint again to have it written anew")


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
        arguments = [f"checkpoint={self.given}", f"cards=[{','.join(cards)}]"]
        arguments += [f"protocol={protocol}"] if protocol != "paper" else []
        return " ".join(["zeroscale eval", *map(shlex.quote, arguments), *([more] if more else [])])


def find_results(name: str, outputs: Path, every: bool = False) -> list[ResultsLocation]:
    """The results of what `resolve` knows by this name: of a run those of its last checkpoint, or with `every` of all.

    Raises:
        ZeroscaleError: there is no such thing, or it has not been scored; says what to do.
    """
    resolved = resolve(name)
    if isinstance(resolved, Study):
        raise _refuse_study(resolved)
    if isinstance(resolved, Run):
        return _of_run(resolved, name, every)
    if isinstance(resolved, Checkpoint):
        return [ResultsLocation(resolved.label, name, resolved.results_directory)]
    results = resolved.results_directory(outputs)
    given = resolved.origin if resolved.scores is not None else name
    return [ResultsLocation(results.resolve().parent.name, given, results)]


def _of_run(run: Run, given: str, every: bool) -> list[ResultsLocation]:
    scored = layout.step_directories(run.directory / layout.EVALS)
    steps = sorted({*layout.step_directories(run.directory / layout.CHECKPOINTS), *scored})
    if not steps:
        raise ZeroscaleError(f"{given} is a run that has neither a checkpoint nor a score yet; train it first")
    chosen = sorted(scored) if every else steps[-1:]
    return [ResultsLocation(_label(run.name, step), given, run.results_directory(step)) for step in chosen]


def _label(name: str, step: int | None) -> str:
    return name if step is None else f"{name}, step {step:,}"


def _scored_by_name(name: str, outputs: Path) -> Path:
    """The directory with the scores of a name of the hub, by the origin recorded beside them."""
    sources = sorted((outputs / layout.EXTERNAL).glob(f"*/{layout.ORIGIN}"))
    directories, damaged = [], []
    for source in sources:
        # A damaged file of another model keeps nobody from this one.
        try:
            if read_origin(source.parent)["checkpoint"] == name:
                directories.append(source.parent)
        except ZeroscaleError as error:
            damaged.append(str(error))
    if not directories:
        unread = "".join(f"\n  not read: {fault}" for fault in damaged)
        raise ZeroscaleError(
            f"{name} is no directory here, and no checkpoint of that name has been scored in "
            f"{outputs / layout.EXTERNAL}. Score it with: zeroscale eval checkpoint={name} cards=… data_dir=…{unread}"
        )
    if len(directories) > 1:
        raise ZeroscaleError(
            f"{name} has been scored at several revisions; name the folder of one: {', '.join(map(str, directories))}"
        )
    return directories[0]


@dataclass(frozen=True)
class CheckpointRef:
    """What is to be scored and where its scores belong. `run` is None for a checkpoint that is not ours."""

    name: str
    path: Path
    out: Path
    weights_hash: str
    """Of a run's checkpoint the sha256 of its weights, beside which its settings and its tokenizer are verified; of one
    that is not ours the sha256 over `files`: a score belongs to the whole model."""
    run: TrainConfig | None
    origin: str = ""
    """Of a checkpoint that is not ours: the directory or the hub's name, as given."""
    revision: str | None = None
    """The commit of a checkpoint from the hub."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Of a checkpoint that is not ours: name → sha256 of what is read, configuration, tokenizer and weights."""
    hashed: float = 0.0
    """When `files` were begun to be hashed, in seconds since the epoch."""

    @property
    def label(self) -> str:
        """As tables call it: a run's checkpoints differ by their step."""
        return _label(self.name, layout.step_of(self.path) if self.run is not None else None)

    @property
    def run_directory(self) -> Path:
        """The run that a checkpoint of ours belongs to."""
        return layout.run_of(self.path)

    @property
    def study(self) -> Path | None:
        """The directory of the study that a run's checkpoint belongs to."""
        in_run = self.run is not None and self.out.parent.name == layout.EVALS
        return self.run_directory.parent if in_run else None


def resolve_checkpoint(name: str | Path, outputs: Path, revision: str | None = None) -> CheckpointRef:
    """The checkpoint that a name stands for, its weights hashed or verified: of a run its last whole one. The files of
    a name of the hub are downloaded.

    Args:
        revision: of the hub's repository.

    Raises:
        ZeroscaleError: it is none, or not whole; says what it lacks.
    """
    if revision is not None and Path(name).is_dir():
        raise ZeroscaleError(f"revision={revision} belongs to a name of the hub, but {name} is a directory here")
    resolved = resolve(name)
    if isinstance(resolved, Study):
        raise _refuse_study(resolved)
    if isinstance(resolved, Run):
        newest = checkpoint.latest(resolved.directory, print)
        if newest is None:
            raise ZeroscaleError(f"{resolved.directory} is a run without a whole checkpoint yet; train it first")
        return _verified(Checkpoint(newest, layout.results_of(newest)))
    if isinstance(resolved, Checkpoint):
        return _verified(resolved)
    if resolved.scores is not None:
        raise ZeroscaleError(f"{name} is not a checkpoint: it holds the scores of {resolved.origin}; give that")
    if resolved.directory is not None:
        return _external(resolved.directory, resolved.directory.resolve().name, outputs)
    directory, commit = hub.snapshot(resolved.origin, revision)
    return _external(directory, resolved.origin, outputs, commit)


def _verified(location: Checkpoint) -> CheckpointRef:
    meta = checkpoint.verify(location.directory)
    path = location.directory / layout.META
    if "settings" not in meta:
        raise ZeroscaleError(f"{path} has no settings: it does not say what model this is")
    try:
        config = build_config(TrainConfig, meta["settings"])
    except ZeroscaleError as error:
        raise ZeroscaleError(f"{path}, settings: {error}") from error
    if meta.get("settings_hash") not in (None, config.hash()):
        raise ZeroscaleError(
            f"{path}: its settings are not those that it was written with: their hash is {config.hash()[:12]}, and "
            f"settings_hash says {str(meta['settings_hash'])[:12]}. Bring back the file as it was"
        )
    name = layout.run_of(location.directory).name
    return CheckpointRef(name, location.directory, location.results_directory, meta["sha256"][layout.WEIGHTS], config)


def _external(directory: Path, name: str, outputs: Path, commit: str | None = None) -> CheckpointRef:
    """A checkpoint that no run here made: its scores lie under its name and the hash of all its files that are read."""
    began = time.time()
    hashes = model_files.hash_files(directory)
    digest = sha256_json(hashes)
    unique = f"{_safe_name(name)}-{digest[:8]}"
    out = outputs / layout.EXTERNAL / unique / layout.EVALS
    origin = name if commit else str(directory)
    return CheckpointRef(unique, directory, out, digest, None, origin, commit, hashes, began)


def check_unchanged(target: CheckpointRef) -> None:
    """Holds that what has been read of a checkpoint that is not ours is what its scores will be known by.

    Raises:
        ZeroscaleError: a file was written between the two, by a training that goes on, for instance.
    """
    for name, digest in target.files.items():
        path = target.path / name
        # Only what was touched since is hashed again; a second's grace for the clocks of file systems.
        if not path.is_file() or (path.stat().st_ctime > target.hashed - 1 and sha256_file(path) != digest):
            raise ZeroscaleError(f"{path} changed while it was read: score a copy, or wait until nobody writes it")


def _safe_name(text: str) -> str:
    """A name of the kind that runs and studies have: letters, digits, dot, underscore, dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"
