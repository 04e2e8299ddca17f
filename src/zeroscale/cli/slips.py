"""What people type who know another tool, or are in a hurry: each slip gets the right spelling."""

import re
import shutil
from collections.abc import Sequence

from zeroscale.cli.help import FILTER
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError

# How a command calls the study that it works on.
_STUDY_KEY = {"fit": "runs", "report": "study", "status": "study", "runs": "study", "bundle": "study"}
_STUDY_KEY |= {"explain": "study", "overlap": "study", "eval": "study", "remove": "study"}
# What a command's one most usual setting is, for an argument that stands alone.
_MAIN_KEY = {**_STUDY_KEY, "eval": "checkpoint", "sample": "checkpoint", "export": "checkpoint", "verify": "bundle"}
_MAIN_KEY |= {"batch": "run", "reproduce": "run"}

_STEPS = "trainer.tokens=N counts tokens, not steps: N = steps x trainer.batch_tokens"
_BATCH = "trainer.batch_tokens=N counts the tokens of a step over all devices: sequences x context"
# The last part of a key as other tools have it: what to write here.
_OTHER_NAMES = {
    **dict.fromkeys(("max_steps", "steps", "num_steps", "iters", "max_iters", "train_steps"), _STEPS),
    **dict.fromkeys(("epochs", "num_epochs", "max_epochs", "num_train_epochs"), f"there are no epochs; {_STEPS}"),
    **dict.fromkeys(("learning_rate", "lr", "max_lr", "peak_lr"), "optimizer.lr=0.003"),
    **dict.fromkeys(("batch_size", "global_batch_size", "train_batch_size"), _BATCH),
    **dict.fromkeys(
        ("micro_batch_size", "device_batch_size", "per_device_train_batch_size"),
        "trainer.micro_batch_tokens=N, in tokens; null derives it",
    ),
    **dict.fromkeys(
        ("gradient_accumulation_steps", "grad_accum", "accumulate_grad_batches"),
        "accumulation follows from trainer.batch_tokens and trainer.micro_batch_tokens",
    ),
    **dict.fromkeys(("warmup", "warmup_steps", "warmup_iters"), "schedule.warmup_tokens=N, in tokens"),
    **dict.fromkeys(("wd", "weight_decay"), "optimizer.weight_decay=0.1"),
    **dict.fromkeys(("grad_clip", "clip", "max_grad_norm", "gradient_clip_val"), "optimizer.grad_clip=1.0"),
    **dict.fromkeys(
        ("block_size", "seq_len", "seq_length", "max_seq_len", "sequence_length", "context"),
        "model.n_positions=N; trainer.context_length=N for shorter windows",
    ),
    **dict.fromkeys(("n_embd", "hidden_size", "dim", "width", "d_model"), "model.d_model=N"),
    **dict.fromkeys(("num_layers", "n_layers", "depth", "num_hidden_layers", "n_layer"), "model.n_layer=N"),
    **dict.fromkeys(("num_heads", "n_heads", "num_attention_heads", "n_head"), "model.n_head=N"),
    **dict.fromkeys(("device", "accelerator"), "trainer.accelerator=cpu or cuda"),
    **dict.fromkeys(("gpus", "n_gpu", "num_gpus", "devices", "num_devices"), "trainer.devices=N"),
    **dict.fromkeys(("dtype", "precision", "fp16", "bf16", "amp"), "trainer.precision=bf16-mixed"),
    **dict.fromkeys(("dataset", "train_file", "data_path"), "data=files data.path=DIR, or data=hub data.dataset=NAME"),
    **dict.fromkeys(("output", "out", "out_dir", "save_dir", "log_dir"), "output_dir=DIR, and study=NAME in it"),
    **dict.fromkeys(("wandb", "logger", "report_to"), "tracker=wandb, tensorboard, files or none"),
    **dict.fromkeys(("size", "model_size", "model_name"), "model=NAME; zeroscale train --help lists them"),
}
_GROUPS_OF = ("train", "plan", "data")


def mended(command: str, arguments: Sequence[str]) -> list[str]:
    """The arguments with a study under the name that the command has for it.

    Raises:
        ZeroscaleError: an argument that is no override, with the spelling that was meant; `sweeps=` without its plus.
    """
    for number, argument in enumerate(arguments):
        _check(command, argument, list(arguments[number + 1 :]))
    key = _STUDY_KEY.get(command)
    other = {"study": "runs", "runs": "study"}.get(key or "")
    given = {argument.partition("=")[0] for argument in arguments}
    if key is None or other not in given or key in given:
        return list(arguments)
    return [f"{key}={one.partition('=')[2]}" if one.partition("=")[0] == other else one for one in arguments]


def _check(command: str, argument: str, rest: Sequence[str]) -> None:
    key, separator, value = argument.partition("=")
    if argument == "=" or (not separator and rest and rest[0].startswith("=")):
        raise ZeroscaleError(f"no spaces around the equals sign: {argument.rstrip('=')}=VALUE")
    if (option := re.fullmatch(r"-{1,2}([A-Za-z][\w./-]+)", key)) and key not in _KNOWN_OPTIONS:
        name = option.group(1).replace("-", "_")
        meant = f"{name}={value or (rest[0] if rest and '=' not in rest[0] else 'VALUE')}"
        if name in _KNOWN_NAMES or separator or (rest and not rest[0].startswith("-") and "=" not in rest[0]):
            raise ZeroscaleError(f"unknown option {key}; settings have no dashes: write {meant}")
    if not separator and not argument.startswith(("-", "~", FILTER)):
        main = _MAIN_KEY.get(command)
        hint = f": {main}={argument}" if main else ""
        if command in _GROUPS_OF and (paths.share() / "sweeps" / f"{argument}.yaml").is_file():
            hint = f": +sweeps={argument}"
        elif command in _GROUPS_OF and (paths.conf() / "model" / f"{argument}.yaml").is_file():
            hint = f": model={argument}"
        raise ZeroscaleError(f"{argument!r} is not an override; write key=value{hint}")
    if key == "sweeps":
        raise ZeroscaleError(f"a sweep is added to the settings: write +sweeps={value or 'NAME'}")


_KNOWN_OPTIONS = {"-m", "-h", "--multirun", "--help", "-cd", "-cn", "-sc", "--cfg", "--info", "--config-dir"}
_KNOWN_OPTIONS |= {"--config-name", "--config-path", "--shell-completion", "--resolve", "--package"}
_KNOWN_NAMES = {"study", "runs", "run", "checkpoint", "cards", "model", "out", "output_dir", "prompt", "data_dir"}


def other_name(command: str, key: str) -> str | None:
    """What to write in place of a key that the command does not have: the choice of its group that has it, or this
    project's name for what other tools call so; None where neither is known."""
    bare = key.lstrip("+~").partition("@")[0]
    group, _, leaf = bare.partition(".")
    if leaf and (choices := _choices_with(group, leaf.partition(".")[0])):
        several = f" ({', '.join(choices[1:])} have it, too)" if choices[1:] else ""
        return f"{bare} is a setting of {group}={choices[0]}: add that{several}"
    name = _OTHER_NAMES.get(bare.rpartition(".")[2]) if command in ("train", "plan") else None
    return f"{bare} is called otherwise here: {name}" if name else None


def _choices_with(group: str, leaf: str) -> list[str]:
    """The choices of a group whose file has this setting; those that need nothing else first."""
    found = []
    if re.fullmatch(r"\w+", group) and re.fullmatch(r"\w+", leaf):
        for path in sorted((paths.conf() / group).glob("*.yaml")):
            if re.search(rf"^{leaf}:", path.read_text(encoding="utf-8"), re.MULTILINE):
                found.append(path.stem)
    # The generic choice of a group is called after its kind: data=files before data=c4.
    return sorted(found, key=lambda name: (name not in ("files", "hub"), name))


def check_launcher(name: str) -> None:
    """Checks that what a launcher of jobs needs is here.

    Raises:
        ZeroscaleError: SLURM's launcher, on a machine without SLURM.
    """
    if name == "submitit_slurm" and shutil.which("sbatch") is None:
        raise ZeroscaleError(
            "hydra/launcher=submitit_slurm hands jobs to SLURM, and this machine has no sbatch: start it on a login "
            "node, or take hydra/launcher=submitit_local, or cells_at_once=N for several runs at once here"
        )
