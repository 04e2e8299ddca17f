"""A run as its directory holds it: configuration, manifest, state, metrics, checkpoints and results."""

import copy
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, cast

from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import json_records, jsonl
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.json_records import WrongType
from zeroscale.core.parsing import yaml_text
from zeroscale.runs import checkpoint, layout, results, status
from zeroscale.runs.manifest import Manifest
from zeroscale.runs.results import ResultFile

LAST_ROWS = 20
"""Of metrics.jsonl, from which a run's speed is told."""

State = Literal["done", "running", "failed", "resumable"]


class ModelSettings(TypedDict, total=False):
    name: str | None


class TrainerSettings(TypedDict, total=False):
    tokens: int | None
    batch_tokens: int | None


class TokenizerSettings(TypedDict, total=False):
    kind: str | None


class Settings(TypedDict, total=False):
    """config.yaml as far as it is read without being checked whole: settings of another version, too."""

    seed: int | None
    model: ModelSettings
    trainer: TrainerSettings
    tokenizer: TokenizerSettings
    data_dir: str | None


class RunState(NamedTuple):
    """How far a run has come: its state, why, and the last step that it recorded itself."""

    state: State
    reason: str
    step: int | None


class Run:
    """A run's directory. Each file is read when it is first asked for, and once: `Run(directory)` anew to look again.

    Raises, at any of its attributes:
        ZeroscaleError: the file that it needs is damaged; the message names it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self.name = self.directory.name
        """The directory's name: MODEL-seedSEED-HASH."""

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r})"

    @classmethod
    def of(cls, config: TrainConfig) -> "Run":
        """The run with this configuration, whether it has begun or not."""
        return cls(layout.run_directory(config))

    def with_name(self, name: str) -> "Run":
        """The same run under another name, where several studies are shown together."""
        run = copy.copy(self)
        run.name, run.directory = name, self.directory.resolve()
        return run

    @property
    def outputs(self) -> Path:
        """The directory that holds its study and the corpora."""
        return layout.outputs_of(self.directory.resolve())

    @cached_property
    def settings(self) -> jsonl.Row:
        """config.yaml as it stands there, of which `Settings` are checked; {} where there is none."""
        path = self.directory / layout.CONFIG
        if not path.is_file():
            return {}
        try:
            return dict(json_records.from_json(Settings, yaml_text.read(path)))
        except WrongType as error:
            raise ZeroscaleError(f"{path}: {error}") from error

    @cached_property
    def config(self) -> TrainConfig:
        """config.yaml, checked.

        Raises:
            ZeroscaleError: it is no run, or its settings are not such as this version takes.
        """
        if not layout.is_run(self.directory):
            raise ZeroscaleError(not_a_run(self.directory))
        return build_config(TrainConfig, self.settings)

    @cached_property
    def manifest(self) -> Manifest:
        """What the run was made with; {} where that is not recorded."""
        path = self.directory / layout.MANIFEST
        return json_records.read(Manifest, path) if path.exists() else {}

    @cached_property
    def status(self) -> RunState:
        """Its state, for which a run that is not finished asks its locks: a process that is killed leaves a
        status.json behind that says `running`."""
        recorded = status.read_file(self.directory)
        state, reason, step = recorded.get("state"), str(recorded.get("reason") or ""), recorded.get("step")
        if (self.directory / layout.DONE).exists():
            return RunState("done", reason, step)
        if state == "failed":
            return RunState("failed", reason, step)
        if state == "resumable":
            return RunState("resumable", reason, step)
        if status.is_locked(self.directory):
            return RunState("running", reason if state in ("running", "done") else "about to begin", step)
        # DONE is written last: without it even a run whose status is `done` was cut off.
        return RunState(
            "resumable", reason if state == "done" else "its process is gone; the same command goes on", step
        )

    @property
    def state(self) -> State:
        """`done` only with the file DONE, which is written last."""
        return self.status.state

    @property
    def reason(self) -> str:
        """Why the run is in its state; "" where there is nothing to say."""
        return self.status.reason

    @property
    def step(self) -> int | None:
        """The last step that status.json tells of."""
        return self.status.step

    @property
    def done(self) -> bool:
        return self.state == "done"

    def is_finished_with(self, config: TrainConfig) -> bool:
        """Whether it is done with these very settings, and scored on every card that they name."""
        done = status.read_done(self.directory)
        if done is None or done["settings_hash"] != config.hash():
            return False
        return set(config.cards) <= set(done["cards"]) and (not config.cards or done["cards_from"] == config.cards_from)

    @property
    def _known(self) -> Settings:
        return cast(Settings, self.settings)

    @property
    def model(self) -> str | None:
        """The model's name."""
        return self._known.get("model", {}).get("name")

    @property
    def seed(self) -> int | None:
        return self._known.get("seed")

    @property
    def code_hash(self) -> str | None:
        """Of the source that trained it, as far as that can change a result, or of that under which its result was
        accepted last; None where that was not recorded."""
        trained_by = self.manifest.get("code", {}).get("hash")
        adopted = status.adopted(self.directory) if trained_by else []
        return adopted[-1] if adopted else trained_by

    @property
    def batch_tokens(self) -> int | None:
        """Tokens of an optimizer step."""
        return self._known.get("trainer", {}).get("batch_tokens")

    @property
    def tokens(self) -> int | None:
        """Tokens that it trains on in all."""
        return self._known.get("trainer", {}).get("tokens")

    @property
    def metrics_path(self) -> Path:
        return self.directory / layout.METRICS

    @property
    def log(self) -> Path:
        """What its processes wrote to standard error."""
        return self.directory / layout.LOG

    @property
    def tokenizer_directory(self) -> Path:
        return self.directory / layout.TOKENIZER

    @cached_property
    def metrics(self) -> dict[int, jsonl.Row]:
        """metrics.jsonl by step, in the file's order; of a step that was logged twice the last value counts."""
        rows: dict[int, jsonl.Row] = {}
        for row in jsonl.read(self.metrics_path, "step"):
            if not isinstance(row.get("tokens", 0), int | None):
                raise ZeroscaleError(f"{self.metrics_path}, step {row['step']}: tokens is {row['tokens']}, no integer")
            rows.setdefault(row["step"], {}).update(row)
        return rows

    def last_metrics(self) -> list[jsonl.Row]:
        """The last rows of metrics.jsonl, as it is now, and the last with a validation loss if that is not far."""
        return jsonl.tail(self.metrics_path, "step", LAST_ROWS, "val/loss")

    @cached_property
    def fault(self) -> str | None:
        """Why the run cannot be read; None where every file that a study's tables are made from is whole."""
        try:
            _ = self.settings, self.manifest, self.status, self.metrics, self.results
        except ZeroscaleError as error:
            return str(error)
        return None

    @property
    def checkpoints(self) -> list[Path]:
        """Its checkpoints, the oldest first, whole or not."""
        return checkpoint.all_of(self.directory)

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step lies, if it was kept."""
        return layout.checkpoint_directory(self.directory, step)

    def results_directory(self, step: int) -> Path:
        """Where the results of a step's checkpoint lie, if it was scored."""
        return layout.results_directory(self.directory, step)

    @cached_property
    def results(self) -> list[ResultFile]:
        """Every result, by step and name."""
        steps = layout.step_directories(self.directory / layout.EVALS)
        return [result for step, path in steps.items() for result in results.read_directory(path, step)]

    def results_at(self, step: int) -> list[ResultFile]:
        """The results of one step, by name."""
        if "results" in self.__dict__:  # (all have been read)
            return [result for result in self.results if result.step == step]
        return results.read_directory(self.results_directory(step), step)

    @property
    def scored_steps(self) -> dict[int, int]:
        """How many results each scored checkpoint has now, in order of steps."""
        steps = layout.step_directories(self.directory / layout.EVALS)
        counts = {step: len(layout.result_files(path)) for step, path in steps.items()}
        return {step: count for step, count in counts.items() if count}

    @property
    def recorded_steps(self) -> list[int]:
        """Steps that have a checkpoint or a result, in order."""
        return sorted({*layout.step_directories(self.directory / layout.CHECKPOINTS), *self.scored_steps})


def open_run(directory: Path, key: str = "") -> Run:
    """The run in a directory that a user named; `key`, such as "run=", stands before its name in a message.

    Raises:
        ZeroscaleError: it is none.
    """
    if not layout.is_run(directory):
        raise ZeroscaleError(f"{key}{not_a_run(directory)}")
    return Run(directory)


def not_a_run(directory: Path) -> str:
    """What to say of a directory that is no run."""
    names = [path.name for path in layout.run_directories(directory)]
    hint = f"; it is a study, give one of its runs: {', '.join(names[:4])}" if names else ""
    return f"{directory} is not a run: no {layout.CONFIG} in it{hint}"
