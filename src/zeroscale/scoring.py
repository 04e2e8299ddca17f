"""Scores a checkpoint: the one way in, for training at chosen steps, for the end of a run, and for `zeroscale eval`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zeroscale.errors import ZeroscaleError
from zeroscale.files import read_json, sha256_file, sha256_json
from zeroscale.settings import EvalSettings, TrainSettings
from zeroscale.strict import build
from zeroscale.training import checkpoint

Say = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """What is to be scored and where its scores belong. `run` is None for a checkpoint that is not ours."""

    name: str
    path: Path
    out: Path
    weights_hash: str
    run: TrainSettings | None


def find(path: Path, outputs: Path) -> Target:
    """Resolves a run's directory (its last whole checkpoint), one of its checkpoints, or a Hugging Face directory.

    Raises:
        ZeroscaleError: the path is none of these; says what it lacks.
    """
    if not path.is_dir():
        raise ZeroscaleError(f"{path} is not a directory: give a run's, one of its checkpoints, or a Hugging Face one")
    if (path / checkpoint.META).is_file():
        cell = path.parent.parent
        meta = checkpoint.verify(path)
        run = build(TrainSettings, meta["settings"])
        out = cell / "evals" / path.name if (cell / "config.yaml").is_file() else path / "evals"
        return Target(cell.name, path, out, meta["sha256"][checkpoint.WEIGHTS], run)
    if (path / "config.yaml").is_file():
        newest = checkpoint.latest(path, print)
        if newest is None:
            raise ZeroscaleError(f"{path} is a run without a whole checkpoint yet; train it first")
        return find(newest, outputs)
    if (path / "config.json").is_file():
        digest = _weights_hash(path)
        name = f"{_safe_name(path.resolve().name)}-{digest[:8]}"
        return Target(name, path, outputs / "eval" / name / "evals", digest, None)
    raise ZeroscaleError(
        f"{path} is not a checkpoint: it has no config.yaml (a run), no {checkpoint.META} (one of its checkpoints) "
        "and no config.json (a Hugging Face directory)"
    )


def load(target: Target) -> tuple[Any, Any]:
    """The model in evaluation mode and its tokenizer."""
    from zeroscale.model import GPT
    from zeroscale.tokenizer import Tokenizer

    if target.run is None:
        return GPT.from_pretrained(target.path).eval(), Tokenizer.load(target.path)
    from zeroscale import build as composition
    from zeroscale.model import weights

    tokenizer = Tokenizer.load(target.path.parent.parent / "tokenizer")
    gpt = GPT(composition.shape(target.run, tokenizer.vocab_size))
    weights.load_state(gpt, target.path / checkpoint.WEIGHTS)
    expected = read_json(target.path / checkpoint.META)["tokenizer"]
    if tokenizer.fingerprint != expected:
        raise ZeroscaleError(
            f"{target.path.parent.parent / 'tokenizer'} is not the tokenizer that {target.path} was trained with "
            f"(fingerprint {tokenizer.fingerprint[:12]}, not {expected[:12]})"
        )
    return gpt.eval(), tokenizer


def _safe_name(text: str) -> str:
    """A name of the kind that cells and studies bear: letters, digits, dot, underscore, dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"


def _weights_hash(directory: Path) -> str:
    """sha256 over the weight files' own hashes, by name."""
    files = sorted([*directory.glob("*.safetensors"), *directory.glob("pytorch_model*.bin")])
    if not files:
        raise ZeroscaleError(f"{directory} has a config.json but no weights (*.safetensors or pytorch_model.bin)")
    return sha256_json({file.name: sha256_file(file) for file in files})


def score(target: Target, wanted: EvalSettings, say: Say | None = None) -> list[Any]:
    """Scores the cards asked for, and for a run of ours the held-out text; returns the results, held-out first."""
    from zeroscale.harness import evaluate
    from zeroscale.provenance import machine

    model, tokenizer = load(target)
    if machine.accelerator(wanted.accelerator) == "cuda":
        model = model.to("cuda")
    results = []
    if target.run is not None:
        results += _score_held_out(target, model, wanted)
    results += evaluate.score_cards(
        model,
        tokenizer,
        list(wanted.cards),
        source=wanted.cards_from,
        data_dir=Path(wanted.data_dir) if wanted.data_dir else None,
        out=target.out,
        weights_hash=target.weights_hash,
        seed=wanted.seed,
        bootstrap=wanted.bootstrap,
        batch_tokens=wanted.batch_tokens,
        protocol=wanted.protocol,
        limit=wanted.limit,
        progress=say,
    )
    return results


def _score_held_out(target: Target, model: Any, wanted: EvalSettings) -> list[Any]:
    """The run's own held-out slice, where its corpus is still at hand."""
    from zeroscale import build as composition
    from zeroscale.data import prepare
    from zeroscale.data.tokens import Corpus
    from zeroscale.harness import evaluate

    run = target.run
    assert run is not None
    directory = prepare.corpus_directory(target.path.parents[3] / "corpora", run.data, run.tokenizer)
    if not directory.is_dir():
        return []
    tokens = Corpus.open(directory)
    if tokens.fingerprint != read_json(target.path / checkpoint.META)["corpus"]:
        raise ZeroscaleError(
            f"{directory} is not the corpus that {target.path} was trained on: restore it or remove it"
        )
    return [
        evaluate.score_held_out(
            composition.held_out(run, tokens),
            model,
            out=target.out,
            weights_hash=target.weights_hash,
            corpus=tokens.fingerprint,
            seed=wanted.seed,
            bootstrap=wanted.bootstrap,
        )
    ]


def score_run(path: Path, run: TrainSettings) -> list[Any]:
    """Scores one of a run's own checkpoints as its settings ask: during training and at its end."""
    with open(_defaults(), encoding="utf-8") as file:
        defaults = yaml.safe_load(file)
    chosen = {
        "cards": list(run.cards),
        "cards_from": run.cards_from,
        "data_dir": run.data_dir,
        "output_dir": run.output_dir,
        "accelerator": run.trainer.accelerator,
        "checkpoint": str(path),
    }
    wanted = build(EvalSettings, {**defaults, **chosen})
    return score(find(path, Path(run.output_dir)), wanted)


def _defaults() -> Path:
    # One place for the defaults of scoring: what `zeroscale eval` says.
    from zeroscale import paths

    return paths.conf() / "eval.yaml"
