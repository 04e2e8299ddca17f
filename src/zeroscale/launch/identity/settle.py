"""Which run a configuration is: by its settings, the content of its corpus, and the code that computes."""

from collections.abc import Callable, Sequence

from zeroscale.config.data import DataConfig
from zeroscale.config.study import OnCodeChange
from zeroscale.config.train import TrainConfig
from zeroscale.core import nodes
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch.identity import code_change, same_content
from zeroscale.launch.identity.code_change import Changed
from zeroscale.launch.progress.labels import planned_axes
from zeroscale.runs import status
from zeroscale.runs.identity import code
from zeroscale.runs.run import Run


def settle(
    configs: Sequence[TrainConfig], on_code_change: OnCodeChange, say: Callable[[str], None]
) -> list[TrainConfig]:
    """The configurations of one command as the study knows them, before any of them is trained: with the paths under
    which a run of the same content has begun, and in the directory of the code that is to be trusted.

    Raises:
        ZeroscaleError: a finished run whose corpus holds something else now, or, unless `on_code_change` says what
            becomes of them, runs that other code has finished; one message for all of them.
    """
    contents = same_content.Contents(say)
    settled: list[TrainConfig] = []
    changed: dict[str, Changed] = {}
    faults: dict[tuple[DataConfig, str], list[TrainConfig]] = {}
    unrecorded: list[str] = []
    for config in configs:
        config = contents.recorded(config)
        config = next((known for known in settled if same_content.same_in_one_sweep(config, known)), config)
        found = code_change.find(config)
        changed |= {str(change.run.directory): change for change in found.changed}
        if found.changed and on_code_change == "rerun":
            found = code_change.Found(code_change.rerun_of(config, found.changed[0].now))
        run = Run.of(found.config)
        if code_change.is_finished(run, found.config):
            unrecorded += [run.name] if found.unrecorded else []
            if (difference := contents.change(found.config, run)) is not None:
                faults.setdefault((found.config.here.data, difference), []).append(found.config)
        settled.append(found.config)
    names = _Names(settled)
    others = [
        _other_content(cells[0], difference, [names(cell.cell) for cell in cells])
        for (_, difference), cells in faults.items()
    ]
    if changed and on_code_change == "ask-by-error":
        others.append(code_change.refusal(list(changed.values()), names))
    if others:
        raise ZeroscaleError("\n".join(others))
    _apply(on_code_change, list(changed.values()), names, say)
    if unrecorded:
        cells = f"{names(unrecorded[0])} was" if len(unrecorded) == 1 else f"{len(unrecorded)} finished cells were"
        say(f"{cells} made before the code that trains was recorded: taken as done, whatever has changed since")
    return settled


def _other_content(config: TrainConfig, difference: str, runs: Sequence[str]) -> str:
    path = config.here.paths.get("data.path")
    what = f"data.path={path}" if path is not None else f"data={config.data.name}"
    are, a = ("is", "a run") if len(runs) == 1 else ("are", "runs")
    return (
        f"{what} holds other text now than it did for {code.describe(runs, 4)}, which {are} finished ({difference}). "
        f"To train on the new text, give it a name of its own, data.name={config.data.name}-2: that makes {a} beside "
        "the old; to go on with the old, put its files back"
    )


class _Names:
    """What a reader calls the runs of a command, read where a message needs it."""

    def __init__(self, configs: Sequence[TrainConfig]) -> None:
        self._configs = configs
        self._labels: dict[str, str] | None = None

    def __call__(self, name: str) -> str:
        if self._labels is None:
            self._labels = planned_axes(self._configs).labels
        return self._labels.get(name, name)


def _apply(on_code_change: OnCodeChange, changed: Sequence[Changed], names: _Names, say: Callable[[str], None]) -> None:
    for change in changed:
        name, files = names(change.run.name), code.describe(change.files, 3)
        if on_code_change == "adopt":
            if nodes.detect_nodes().rank == 0:
                status.adopt(change.run.directory, change.now["hash"])
            say(f"{name}: accepted under this code (differing: {files})")
        elif on_code_change == "keep":
            say(f"{name}: kept, though other code trained it (differing: {files})")
        else:
            again = code_change.rerun_of(change.config, change.now).cell
            say(f"{name}: trained anew by this code, in {again} (differing: {files})")
