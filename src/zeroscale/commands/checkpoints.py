"""`eval`, `compare`, `sample` and `export`: what takes checkpoints."""

from pathlib import Path
from typing import Any

from zeroscale.config.commands import CompareSettings, EvalSettings, ExportSettings, SampleSettings
from zeroscale.config.validate import build
from zeroscale.core.errors import ZeroscaleError

Config = dict[str, Any]
Labelled = tuple[str, Config]


def evaluate(configs: list[Labelled]) -> int:
    """Scores checkpoints, one after the other, and ends with one table."""
    from zeroscale import scores

    wanted = [(label, build(EvalSettings, config)) for label, config in configs]
    return scores.score_checkpoints(wanted)


def compare(config: Config) -> int:
    """Two scored checkpoints, example by example; or two studies, law by law."""
    wanted = build(CompareSettings, config)
    if bool(wanted.runs) == bool(wanted.studies):
        raise ZeroscaleError(
            "compare takes two of one kind: runs=[ONE,OTHER], scored checkpoints, or studies=[ONE,OTHER], studies or "
            "CSVs of runs"
        )
    if wanted.studies:
        from zeroscale.commands import findings

        return findings.compare_laws(wanted)
    from zeroscale.eval import compare as comparing

    return comparing.compare(wanted)


def refuse_shared_out(configs: list[Labelled]) -> None:
    outs = [config["out"] for _, config in configs if config.get("out")]
    if twice := sorted({str(out) for out in outs if outs.count(out) > 1}):
        raise ZeroscaleError(
            f"several jobs of this multirun would write out={twice[0]}, each over the other; run them one by one"
        )


def sample(config: Config) -> int:
    """Continues prompts."""
    wanted = build(SampleSettings, config)
    from zeroscale import sampling

    sampling.print_samples(wanted)
    return 0


def export(config: Config) -> int:
    """Writes a run in Hugging Face format."""
    wanted = build(ExportSettings, config)
    from zeroscale import exporting

    exporting.export_checkpoint(Path(wanted.checkpoint), Path(wanted.out))
    print(f"{wanted.out}: config, weights, tokenizer and model card, as transformers' from_pretrained reads them")
    return 0
