"""Settings that follow from the model's size: a rule's name, a number for each size, or the best of a small sweep.

Where the YAML or the command line gives one of these, `resolve` puts the number in its place before the settings are
validated: config.yaml and the settings hash hold what the run is trained with, and the manifest's command says why.

    optimizer.lr=porian           a rule of `published_rules`; also schedule.warmup_tokens and trainer.batch_tokens
    optimizer.lr={gpt2-small: 0.0006, gpt2-medium: 0.0003}     by the model's name
    optimizer.lr=study:DIR        of the study's finished runs of this model, the rate with the best mean held-out loss
"""

import copy
import json
from dataclasses import dataclass
from pathlib import Path

from zeroscale.config.hashing import hashed
from zeroscale.config.published_rules import RULES, Recommendation
from zeroscale.config.raw import RawConfig
from zeroscale.core import best_mean
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


@dataclass(frozen=True)
class _Finished:
    """A finished run: its settings but for seed and rate, its peak rate, how that was typed, and its last loss."""

    setting: str
    peak: float
    typed: float
    reference: float | None
    tokens: int
    seed: int
    loss: float


def best_rate(study: Path, settings: RawConfig) -> float:
    """The peak learning rate of the setting whose finished runs of this model, on this corpus, ended with the best mean
    held-out loss: the choice that laws make (`core.best_mean`). Of several lengths of training the longest counts.

    Raises:
        ZeroscaleError: there are none, or the best lies at an end of what was tried: the true best may lie beyond it.
    """
    found = [run for done in sorted(study.glob("*/DONE")) if (run := _finished(done.parent, settings)) is not None]
    name = _setting(settings, "model", "name")
    if not found:
        raise ZeroscaleError(f"{study} has no finished run of {name} on this corpus with this tokenizer")
    longest = max(run.tokens for run in found)
    groups: dict[tuple[str, float], list[_Finished]] = {}
    for run in found:
        if run.tokens == longest:
            groups.setdefault((run.setting, run.peak), []).append(run)
    tried = list(groups)
    order, _ = best_mean.rank([{run.seed: run.loss for run in groups[key]} for key in tried])
    setting, best = tried[order[0]]
    rates = sorted(rate for other, rate in tried if other == setting)
    if best in (rates[0], rates[-1]):
        raise ZeroscaleError(_at_the_end(str(name), rates, groups[setting, best][0]))
    return best


def _at_the_end(name: str, rates: list[float], best: _Finished) -> str:
    """What to say where the best rate is the smallest or the largest, with overrides that can be pasted."""
    further = [best_mean.beyond(rates, best.peak)] if len(rates) > 1 else [best.peak / 2, best.peak * 2]
    # The study's own way of writing a rate: with a reference size, what is typed is scaled by size.
    typed = [f"{rate * best.typed / best.peak:.3g}" for rate in further if rate is not None]
    reference = "null" if best.reference is None else f"{best.reference:.10g}"
    end = "smallest" if best.peak == rates[0] else "largest"
    which = f"is the {end} of {len(rates)} tried" if len(rates) > 1 else "is the only one tried"
    adds = " and ".join(f"model={name} optimizer.lr={rate} optimizer.lr_reference_params={reference}" for rate in typed)
    scaled = "" if best.typed == best.peak else f" (optimizer.lr={best.typed:g} at this size)"
    return f"the best rate for {name}, {best.peak:.6g}{scaled}, {which}: train the study with {adds} as well"


def _finished(run: Path, settings: RawConfig) -> _Finished | None:
    """A run of the same model and corpus; None where it is of another, or where a number is missing."""
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
        optimizer = recorded["optimizer"]
        return _Finished(
            setting=_other_settings(recorded),
            peak=_peak(recorded),
            typed=float(optimizer["lr"]),
            reference=optimizer["lr_reference_params"],
            tokens=int(recorded["trainer"]["tokens"]),
            seed=int(recorded["seed"]),
            loss=[loss for loss in losses if loss is not None][-1],
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _other_settings(recorded: RawConfig) -> str:
    """All that can change a result but the seed and the rate, as one text."""
    part = hashed(recorded)
    part.pop("seed", None)
    for key in ("lr", "lr_reference_params"):
        part["optimizer"].pop(key, None)
    return json.dumps(part, sort_keys=True, default=str)


def _peak(recorded: RawConfig) -> float:
    """The peak rate of a recorded run, its own scaling by size included (`OptimizerConfig.lr_for`)."""
    optimizer, size = recorded["optimizer"], _size(recorded)
    if optimizer["lr_reference_params"] is None or size is None:
        return float(optimizer["lr"])
    return float(optimizer["lr"] * (size.non_embedding / optimizer["lr_reference_params"]) ** (-1 / 3))
