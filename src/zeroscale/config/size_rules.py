"""Settings that follow from the model's size: a rule's name, a number for each size, or what a small sweep has found.

Where the YAML or the command line says one of these, `resolve` puts the number in its place before the settings are
made strict: config.yaml and the settings hash hold what the run was trained with, and the manifest's command says why.

    optimizer.lr=porian           the rule of `scaling.rules`; also schedule.warmup_tokens and trainer.batch_tokens
    optimizer.lr={gpt2-small: 0.0006, gpt2-medium: 0.0003}     by the model's name
    optimizer.lr=study:DIR        of the study's finished runs of this model, the rate with the lowest held-out loss
"""

import copy
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeroscale.config.published_rules import RULES, Recommendation
from zeroscale.core.errors import ZeroscaleError
from zeroscale.model import flops

NAMES = {rule.name: rule for rule in RULES}
STUDY = "study:"


def resolve(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A run's plain settings with numbers for rules, and the faults of those that give none.

    A batch is rounded to whole windows and four significant bits (6 %), so that devices and micro-batches divide it,
    and `trainer.tokens` to whole batches of it. A rate that is found by size is not scaled by size once more
    (`optimizer.lr_reference_params` becomes null).
    """
    settings, faults = copy.deepcopy(dict(raw)), []
    optimizer, schedule, trainer = (settings.get(group) for group in ("optimizer", "schedule", "trainer"))
    if isinstance(trainer, dict) and isinstance(trainer.get("batch_tokens"), str):
        advice = _recommend(settings, "trainer.batch_tokens", trainer["batch_tokens"], faults)
        context = trainer.get("context_length") or _of(settings, "model", "n_positions")
        trainer["batch_tokens"] = _whole_batch(advice.batch_tokens, context) if advice and context else 1
        if isinstance(trainer.get("tokens"), int):
            batch = trainer["batch_tokens"]
            trainer["tokens"] = max(1, round(trainer["tokens"] / batch)) * batch
    if isinstance(schedule, dict) and isinstance(schedule.get("warmup_tokens"), str):
        advice = _recommend(settings, "schedule.warmup_tokens", schedule["warmup_tokens"], faults)
        schedule["warmup_tokens"] = round(advice.warmup_tokens) if advice and advice.warmup_tokens else 0
    if isinstance(optimizer, dict) and isinstance(optimizer.get("lr"), str | dict):
        optimizer["lr"] = _rate(settings, optimizer["lr"], faults)
        optimizer["lr_reference_params"] = None
    return settings, faults


def _of(settings: dict[str, Any], group: str, key: str) -> Any:
    part = settings.get(group)
    return part.get(key) if isinstance(part, dict) else None


def _recommend(settings: dict[str, Any], key: str, name: str, faults: list[str]) -> Recommendation | None:
    """The rule's, None where it has none or the size is unknown (which is a fault of its own, found later)."""
    what = key.rpartition(".")[2]
    able = [rule for rule in NAMES if what == "lr" or getattr(NAMES[rule].advise(_ANY), what) is not None]
    if name not in able:
        faults.append(f"{key}={name}: neither a number nor a rule that gives one; rules: {', '.join(able)}")
        return None
    size = _size(settings)
    return NAMES[name].advise(size) if size else None


def _size(settings: Mapping[str, Any]) -> flops.Params | None:
    """None where model or tokenizer are not what they should be."""
    model, tokenizer = settings.get("model"), settings.get("tokenizer")
    try:
        words = tokenizer.get("vocab_size") or {"bytes": 257, "gpt2": 50257}.get(tokenizer["kind"])
        shape = {key: model[key] for key in ("n_layer", "d_model", "n_positions")}
        return flops.params(**shape, vocab_size=model.get("vocab_size") or words)
    except (KeyError, TypeError, AttributeError, ZeroscaleError):
        return None


_ANY = flops.params(n_layer=1, d_model=1, vocab_size=1, n_positions=1)


def _whole_batch(tokens: float | None, context: int) -> int:
    assert tokens is not None
    rows = max(1.0, tokens / context)
    unit = 2 ** max(0, int(rows).bit_length() - 4)
    return max(1, round(rows / unit)) * unit * context


def _rate(settings: dict[str, Any], wanted: str | dict[str, Any], faults: list[str]) -> Any:
    name = _of(settings, "model", "name")
    if isinstance(wanted, dict):
        if name not in wanted:
            faults.append(f"optimizer.lr has no rate for model {name}, only for {', '.join(map(str, wanted))}")
        return wanted.get(name, 1.0)
    if wanted.startswith(STUDY):
        try:
            return best_rate(Path(wanted.removeprefix(STUDY)), settings)
        except ZeroscaleError as error:
            faults.append(f"optimizer.lr={wanted}: {error}")
            return 1.0
    advice = _recommend(settings, "optimizer.lr", wanted, faults)
    return advice.lr if advice else 1.0


def best_rate(study: Path, settings: Mapping[str, Any]) -> float:
    """The learning rate whose finished runs of this model, on this corpus, ended with the lowest mean held-out loss.

    Raises:
        ZeroscaleError: there are none, or the best lies at an end of what was tried: the true best may lie beyond it.
    """
    losses: dict[float, list[float]] = {}
    for done in sorted(study.glob("*/DONE")):
        found = _finished(done.parent, settings)
        if found is not None:
            losses.setdefault(found[0], []).append(found[1])
    name = _of(dict(settings), "model", "name")
    if not losses:
        raise ZeroscaleError(f"{study} has no finished run of {name} on this corpus with this tokenizer")
    best = min(losses, key=lambda rate: statistics.fmean(losses[rate]))
    if best in (min(losses), max(losses)):
        end, beyond = ("smallest", best / 2) if best == min(losses) else ("largest", best * 2)
        raise ZeroscaleError(
            f"the best rate for {name}, {best:g}, is the {end} of {len(losses)} tried: add {beyond:g} to the study"
        )
    return best


def _finished(cell: Path, settings: Mapping[str, Any]) -> tuple[float, float] | None:
    """(learning rate, last held-out loss) of a run of the same model and corpus."""
    import yaml

    from zeroscale.core import jsonl

    try:
        theirs = yaml.safe_load((cell / "config.yaml").read_text(encoding="utf-8"))
        for group, keys in (("model", ("n_layer", "d_model", "n_head")), ("data", ("name",)), ("tokenizer", None)):
            for key in keys or theirs[group]:
                if theirs[group].get(key) != settings[group].get(key):
                    return None
        losses = [row["val/loss"] for row in jsonl.read(cell / jsonl.METRICS) if "val/loss" in row]
        return _peak(theirs), losses[-1]
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _peak(raw: Mapping[str, Any]) -> float:
    """The peak rate of a recorded run, its own scaling by size included (`OptimizerSettings.lr_for`)."""
    optimizer, size = raw["optimizer"], _size(raw)
    if optimizer["lr_reference_params"] is None or size is None:
        return optimizer["lr"]
    return optimizer["lr"] * (size.non_embedding / optimizer["lr_reference_params"]) ** (-1 / 3)
