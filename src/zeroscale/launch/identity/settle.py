"""Which run a configuration is: by its settings, the content of its corpus, and the code that computes."""

from collections.abc import Callable, Sequence

from zeroscale.config.study import OnCodeChange
from zeroscale.config.train import TrainConfig
from zeroscale.core import nodes
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch.identity import code_change, same_content
from zeroscale.launch.identity.code_change import Changed
from zeroscale.runs import status
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
    faults: list[str] = []
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
                faults.append(_other_content(run, found.config, difference))
        settled.append(found.config)
    if changed and on_code_change == "ask-by-error":
        faults.append(code_change.refusal(list(changed.values())))
    if faults:
        raise ZeroscaleError("\n".join(faults))
    _apply(on_code_change, list(changed.values()), say)
    if unrecorded:
        cells = f"{unrecorded[0]} was" if len(unrecorded) == 1 else f"{len(unrecorded)} finished cells were"
        say(f"{cells} made before the code that trains was recorded: taken as done, whatever has changed since")
    return settled


def _other_content(run: Run, config: TrainConfig, difference: str) -> str:
    path = config.here.paths.get("data.path")
    what = f"data.path={path}" if path is not None else f"data={config.data.name}"
    return (
        f"{run.name} is finished, and {what} holds other text than it was trained on ({difference}). To train on the "
        f"new text, give it a name of its own (data.name={config.data.name}-2): that is a cell of its own; to go on "
        "with the old, put its files back"
    )


def _apply(on_code_change: OnCodeChange, changed: Sequence[Changed], say: Callable[[str], None]) -> None:
    for change in changed:
        files = ", ".join(change.files[:3]) + (", …" if len(change.files) > 3 else "")
        if on_code_change == "adopt":
            if nodes.detect_nodes().rank == 0:
                status.adopt(change.run.directory, change.now["hash"])
            say(f"{change.run.name}: accepted under this code ({files} differ)")
        elif on_code_change == "keep":
            say(f"{change.run.name}: kept, though {files} have changed since")
        else:
            again = code_change.rerun_of(change.config, change.now).cell
            say(f"{change.run.name}: trained anew by this code, in {again} ({files} differ)")
