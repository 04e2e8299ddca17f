"""`zeroscale export`: a run as a directory that transformers loads, with a model card made of the run's own records."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic.dataclasses import dataclass

from zeroscale.config.hashing import as_dict
from zeroscale.config.raw import RawConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.types import STRICT, FilePath
from zeroscale.config.validate import build_config
from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import NOT_FINITE, general, interval
from zeroscale.core.marks import PARTS, Mark
from zeroscale.core.tables import Table
from zeroscale.eval import load
from zeroscale.runs import checkpoint, layout, resolve
from zeroscale.runs.manifest import Manifest
from zeroscale.runs.results import read_result
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from zeroscale.eval.results import Result

# Settings that say where things lie on the machine that trained, or how it was watched: nobody else's concern.
PRIVATE = ("output_dir", "data_dir", "tracker", "data.path", "tokenizer.path")

TOKENIZERS = {
    "bpe": "byte-level BPE trained on the corpus",
    "bytes": "one per byte, and the end of text",
    "gpt2": "GPT-2's own byte-level BPE",
}

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExportConfig:
    """A run, or one of its checkpoints, and the directory to write."""

    study: FilePath | None = None
    """The study that a run is named in by a part of its name, or chosen by filters."""
    checkpoint: FilePath
    out: FilePath
    """New, or empty."""


def run(raw: RawConfig) -> int:
    """Writes a run in Hugging Face format."""
    config = build_config(ExportConfig, raw)
    export_checkpoint(Path(config.checkpoint), Path(config.out))
    print(f"{config.out}: config, weights, tokenizer and model card, as transformers' from_pretrained reads them")
    return 0


def export_checkpoint(path: Path, out: Path) -> None:
    """Writes a run's last checkpoint, or the one given, to `out`: whole or not at all.

    Raises:
        ZeroscaleError: `out` holds something already, or `path` is no run of ours.
    """
    if out.exists() and not out.is_dir():
        raise ZeroscaleError(f"out={out} is a file; give the name of a directory")
    if out.is_dir() and any(out.iterdir()):
        raise ZeroscaleError(
            f"out={out} exists and is not empty: export overwrites nothing; remove it, or name another"
        )
    if not path.is_dir():
        raise ZeroscaleError(f"checkpoint={path} is not a directory: give a run's, or one of its checkpoints")
    from zeroscale.data.tokenizer import Tokenizer
    from zeroscale.model.gpt import GPT

    target = resolve.resolve_checkpoint(path, Path("outputs"))
    if target.run is None:
        raise ZeroscaleError(f"{path} is in Hugging Face format already; export writes runs trained here")
    model, tokenizer = load.load(target)
    assert isinstance(model, GPT) and isinstance(tokenizer, Tokenizer)
    card = model_card(target, out.resolve().name)

    def fill(directory: Path) -> None:
        from zeroscale.model import weights

        weights.save_pretrained(model, directory, eos=tokenizer.eos)
        tokenizer.save(directory)
        config_file = directory / "tokenizer_config.json"
        files.write_json(config_file, {**files.read_json(config_file), "model_max_length": model.config.n_positions})
        files.write_text(directory / "README.md", card)

    files.write_directory(out, fill)


def model_card(target: resolve.CheckpointRef, name: str) -> str:
    """README.md of the export. `name` is what the directory is called."""
    assert target.run is not None
    run = target.run_directory
    manifest, meta = Run(run).manifest, checkpoint.meta(target.path)
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            "pipeline_tag: text-generation",
            "tags:",
            "- gpt2",
            "- zeroscale",
            "---",
            f"# {name}",
            "",
            f"A GPT-2-style language model: step {_recorded(meta, 'step')} of {target.run.steps:,} of the run "
            f"`{run.name}`, trained with zeroscale {_recorded(manifest, 'source', 'version')}. `zeroscale export` "
            "wrote this directory and this page from the run's own records.",
            "",
            *_usage(name),
            "## The model",
            "",
            Table.of_texts(("", ""), _shape(target.run, manifest)).markdown_of_markup(),
            "",
            "## How it was trained",
            "",
            Table.of_texts(("", ""), _training(target, manifest, meta)).markdown_of_markup(),
            "",
            "## Scores",
            "",
            *_scores(target),
            "",
            "## Settings",
            "",
            "Without the places of files on the machine that trained.",
            "",
            "```yaml",
            yaml.safe_dump(_public(target.run), sort_keys=False, allow_unicode=True).rstrip(),
            "```",
            "",
        ]
    )


def _usage(name: str) -> list[str]:
    return [
        "```python",
        "from transformers import AutoTokenizer, GPT2LMHeadModel",
        "",
        f'model = GPT2LMHeadModel.from_pretrained("{name}")',
        f'tokenizer = AutoTokenizer.from_pretrained("{name}")',
        "```",
        "",
    ]


def _recorded(facts: Mapping[str, object], *keys: str) -> str:
    """A fact of a record for the card; an older version did not record them all."""
    value: object = facts
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return NOT_RECORDED if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _shape(run: TrainConfig, manifest: Manifest) -> list[tuple[str, ...]]:
    shape, inner = run.model, _recorded(manifest, "params", "non_embedding")
    matmul = _recorded(manifest, "params", "matmul")
    return [
        ("layers, width, heads", f"{shape.n_layer}, {shape.d_model}, {shape.n_head}"),
        ("context", f"{shape.n_positions:,} tokens"),
        ("vocabulary", f"{_recorded(manifest, 'tokenizer', 'vocab_size')} tokens: {TOKENIZERS[run.tokenizer.kind]}"),
        ("parameters, all", _recorded(manifest, "params", "total")),
        (
            "parameters without the embeddings",
            f"{inner} (N of Kaplan et al. 2020)",
        ),
        (
            "parameters without the position embeddings",
            f"{matmul} (those in matrix products)",
        ),
    ]


def _training(target: resolve.CheckpointRef, manifest: Manifest, meta: checkpoint.Meta) -> list[tuple[str, ...]]:
    run, source, machine = target.run, manifest.get("source") or {}, manifest.get("hardware") or {}
    assert run is not None
    changed = " with uncommitted changes" if source.get("dirty") else ""
    on_cpu = f"{_recorded(machine, 'cpu')}, no GPU"
    chips = f"{_recorded(manifest, 'devices')} × {machine.get('gpu')}" if machine.get("gpu") else on_cpu
    tokens, per_token = meta.get("tokens"), manifest.get("flops_per_token")
    flops = NOT_RECORDED if tokens is None or per_token is None else f"{tokens * per_token:.3g}"
    packages = manifest.get("packages") or {}
    corpus = _recorded(manifest, "corpus", "name")
    counts = [_recorded(manifest, "corpus", name) for name in ("n_train_tokens", "n_val_tokens")]
    dataset = f" ({run.data.dataset})" if run.data.kind == "hub" else ""
    return [
        (
            "corpus",
            f"{corpus}{dataset}: {counts[0]} tokens, {counts[1]} held out",
        ),
        ("corpus fingerprint", _recorded(manifest, "corpus", "fingerprint")),
        ("tokenizer fingerprint", _recorded(manifest, "tokenizer", "fingerprint")),
        (
            "tokens seen",
            f"{_recorded(meta, 'tokens')} of {run.trainer.tokens:,}, in batches of {run.trainer.batch_tokens:,}",
        ),
        (
            "training FLOPs",
            f"{flops} (forward and backward, full attention counted)",
        ),
        ("seed", str(manifest.get("seed", NOT_RECORDED))),
        ("precision", run.trainer.precision),
        ("hardware", f"{chips}, {_recorded(manifest, 'threads')} threads, {_recorded(machine, 'system')}"),
        ("source revision", f"{source.get('revision') or 'unknown (an installed package)'}{changed}"),
        ("packages", ", ".join(f"{package} {version}" for package, version in packages.items()) or NOT_RECORDED),
        ("settings hash", manifest["settings_hash"]),
        ("sha256 of the run's weights", target.weights_hash),
    ]


def _scores(target: resolve.CheckpointRef) -> list[str]:
    results = [result for result in _results(target.out) if result.key.weights_hash == target.weights_hash]
    if not results:
        return ["This checkpoint has not been scored."]
    rows = []
    for result in results:
        data = _data(result)
        for metric, score in result.metrics.items():
            value = general(score.value, missing=NOT_FINITE)
            ends = interval(score.low, score.high, show=general, missing="none")
            rows.append((result.card, result.protocol, metric, value, ends, f"{score.n:,}", data))
    notes = ["Zero-shot, by `zeroscale eval`. The intervals are 95 % intervals over the examples scored."]
    if any(result.is_sample for result in results):
        notes.append(
            "Rows marked SAMPLE come from a dozen hand-written examples that test the machinery: they are no benchmark "
            "results and say nothing about the model."
        )
    if any(reason.mark is Mark.UNPINNED for result in results for reason in result.reasons):
        notes.append("UNPINNED: the card pins no content, so that nothing says whether its data are the benchmark's.")
    if any(reason.mark in PARTS for result in results for reason in result.reasons):
        notes.append(
            "Other words in capitals mark scores of a part of a benchmark, or of other data: no results of it."
        )
    columns = ("card", "protocol", "metric", "value", "95 % interval", "n", "data")
    return [" ".join(notes), "", Table.of_texts(columns, rows).markdown_of_markup()]


def _data(result: "Result") -> str:
    """What was scored: of a score that is none of the benchmark, its mark."""
    if result.source == "corpus":
        return "held-out text of its corpus"
    if not result.mark:
        return f"the benchmark's data ({result.source})" if result.is_benchmark else f"{result.source}: {result.data}"
    return f"**{result.mark}**"


def _results(out: Path) -> "list[Result]":
    from zeroscale.eval.results import Result

    results = []
    for path in layout.result_files(out):
        try:
            results.append(Result.from_json(read_result(path).content))
        except (TypeError, KeyError, AttributeError) as error:
            raise ZeroscaleError(f"{path} is not a result that this version can read; score the run again") from error
    return results


def _public(run: TrainConfig) -> dict[str, object]:
    content = as_dict(run)
    for key in PRIVATE:
        *parents, last = key.split(".")
        node = content
        for parent in parents:
            node = node[parent]
        node.pop(last, None)
    return content
