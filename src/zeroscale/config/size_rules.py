"""Settings that follow from the model's size: a rule's name, a number for each size, or the best of a small sweep.

Where the YAML or the command line gives one of these, `resolve` puts the number in its place before the settings are
validated: config.yaml and the settings hash hold what the run is trained with, and the manifest's command says why.

    optimizer.lr=porian           a rule of `published_rules`; also schedule.warmup_tokens and trainer.batch_tokens
    optimizer.lr={gpt2-small: 0.0006, gpt2-medium: 0.0003}     by the model's name
    optimizer.lr=study:DIR        of the study's finished runs of this model, the rate with the lowest held-out loss
"""

import copy
import statistics
from pathlib import Path

from zeroscale.config.published_rules import RULES, Recommendation
from zeroscale.config.raw import RawConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.paths import expand_home
from zeroscale.model import flops

NAMES = {rule.name: rule for rule in RULES}
STUDY = "study:"


def resolve(raw: RawConfig) -> tuple[RawConfig, list[str]]:
    """A run's plain settings with numbers for rules, and the faults of those that give none.

    A batch is rounded to whole windows and four significant bits (6 %), so that devices and micro-batches divide it,
    and `trainer.tokens` to whole batches of it. A rate that is found by size is not scaled by size once more
    (`optimizer.lr_reference_params` becomes null).
    """
    settings, faults = copy.deepcopy(raw), list[str]()
    optimizer, schedule, trainer = (settings.get(group) for group in ("optimizer", "schedule", "trainer"))
    if isinstance(trainer, dict) and isinstance(trainer.get("batch_tokens"), str):
        recommended = _recommend(settings, "trainer.batch_tokens", trainer["batch_tokens"], faults)
        context = trainer.get("context_length") or _setting(settings, "model", "n_positions")
        trainer["batch_tokens"] = 1
        if recommended and recommended.batch_tokens and isinstance(context, int) and context:
            trainer["batch_tokens"] = _whole_batch(recommended.batch_tokens, context)
        if isinstance(trainer.get("tokens"), int):
            batch = trainer["batch_tokens"]
            trainer["tokens"] = max(1, round(trainer["tokens"] / batch)) * batch
    if isinstance(schedule, dict) and isinstance(schedule.get("warmup_tokens"), str):
        recommended = _recommend(settings, "schedule.warmup_tokens", schedule["warmup_tokens"], faults)
        schedule["warmup_tokens"] = round(recommended.warmup_tokens) if recommended and recommended.warmup_tokens else 0
    if isinstance(optimizer, dict) and isinstance(optimizer.get("lr"), str | dict):
        optimizer["lr"] = _rate(settings, optimizer["lr"], faults)
        optimizer["lr_reference_params"] = None
    return settings, faults


def _setting(settings: RawConfig, group: str, key: str) -> object:
    part = settings.get(group)
    return part.get(key) if isinstance(part, dict) else None


def _recommend(settings: RawConfig, key: str, name: str, faults: list[str]) -> Recommendation | None:
    """The rule's recommendation; None where it has none or the size is unknown (a fault of its own, found later)."""
    quantity = key.rpartition(".")[2]
    able = [rule for rule in NAMES if quantity == "lr" or getattr(NAMES[rule].advise(_ANY), quantity) is not None]
    if name not in able:
        faults.append(f"{key}={name}: neither a number nor a rule that gives one; rules: {', '.join(able)}")
        return None
    size = _size(settings)
    return NAMES[name].advise(size) if size else None


def _size(settings: RawConfig) -> flops.Params | None:
    """The parameter counts; None where model or tokenizer are not what they should be."""
    try:
        model, tokenizer = settings["model"], settings["tokenizer"]
        tokens = tokenizer.get("vocab_size") or {"bytes": 257, "gpt2": 50257}.get(tokenizer["kind"])
        shape = {key: model[key] for key in ("n_layer", "d_model", "n_positions")}
        shape["vocab_size"] = model.get("vocab_size") or tokens
        return flops.params(**shape)
    except (KeyError, TypeError, AttributeError, ZeroscaleError):
        return None


_ANY = flops.params(n_layer=1, d_model=1, vocab_size=1, n_positions=1)


def _whole_batch(tokens: float, context: int) -> int:
    """Tokens of a batch of whole windows, their number rounded to four significant bits."""
    rows = max(1.0, tokens / context)
    unit: int = 2 ** max(0, int(rows).bit_length() - 4)
    return max(1, round(rows / unit)) * unit * context


def _rate(settings: RawConfig, given: str | dict[str, object], faults: list[str]) -> object:
    """The learning rate that a rule, a mapping by model or a study gives; 1.0 where it gives none, which is a fault."""
    name = str(_setting(settings, "model", "name"))
    if isinstance(given, dict):
        if name not in given:
            faults.append(f"optimizer.lr has no rate for model {name}, only for {', '.join(map(str, given))}")
        return given.get(name, 1.0)
    if given.startswith(STUDY):
        try:
            return best_rate(Path(expand_home(given.removeprefix(STUDY))), settings)
        except ZeroscaleError as error:
            faults.append(f"optimizer.lr={given}: {error}")
            return 1.0
    recommended = _recommend(settings, "optimizer.lr", given, faults)
    return recommended.lr if recommended else 1.0


def best_rate(study: Path, settings: RawConfig) -> float:
    """The learning rate whose finished runs of this model, on this corpus, ended with the lowest mean held-out loss.

    Raises:
        ZeroscaleError: there are none, or the best lies at an end of what was tried: the true best may lie beyond it.
    """
    losses: dict[float, list[float]] = {}
    for done in sorted(study.glob("*/DONE")):
        if (result := _finished(done.parent, settings)) is not None:
            rate, loss = result
            losses.setdefault(rate, []).append(loss)
    name = _setting(settings, "model", "name")
    if not losses:
        raise ZeroscaleError(f"{study} has no finished run of {name} on this corpus with this tokenizer")
    best = min(losses, key=lambda rate: statistics.fmean(losses[rate]))
    if best in (min(losses), max(losses)):
        end, beyond = ("smallest", best / 2) if best == min(losses) else ("largest", best * 2)
        raise ZeroscaleError(
            f"the best rate for {name}, {best:g}, is the {end} of {len(losses)} tried: add {beyond:g} to the study"
        )
    return best


def _finished(run: Path, settings: RawConfig) -> tuple[float, float] | None:
    """(learning rate, last held-out loss) of a run of the same model and corpus."""
    from zeroscale.core import jsonl
    from zeroscale.core.parsing import yaml_text

    if not (run / "config.yaml").is_file():
        return None
    recorded = yaml_text.read(run / "config.yaml")
    try:
        for group, keys in (("model", ("n_layer", "d_model", "n_head")), ("data", ("name",)), ("tokenizer", None)):
            for key in keys or recorded[group]:
                if recorded[group].get(key) != settings[group].get(key):
                    return None
        losses = [row.get("val/loss") for row in jsonl.read(run / "metrics.jsonl", "step")]
        return _peak(recorded), [loss for loss in losses if loss is not None][-1]
    except (KeyError, TypeError, AttributeError, IndexError):
        return None


def _peak(recorded: RawConfig) -> float:
    """The peak rate of a recorded run, its own scaling by size included (`OptimizerConfig.lr_for`)."""
    optimizer, size = recorded["optimizer"], _size(recorded)
    if optimizer["lr_reference_params"] is None or size is None:
        return float(optimizer["lr"])
    return float(optimizer["lr"] * (size.non_embedding / optimizer["lr_reference_params"]) ** (-1 / 3))
