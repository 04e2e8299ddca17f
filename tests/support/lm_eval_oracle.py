"""lm-evaluation-harness beside ours: the same weights, tokenizer and data, its own tasks and models, no network.

    twin = oracle.twin(tmp_path / "model", tokenizer, texts)            # ours and transformers' GPT-2 of one directory
    theirs = oracle.evaluate(twin, "lambada_openai", {"test": rows}, tmp_path)
    result, records = oracle.score(twin, "lambada", data_dir, tmp_path / "out")
    assert result.metrics["acc"].value == theirs.scores["acc"]

Nothing of a task is changed but where its rows come from: its YAML is included whole by a file that names local files.
Import it as `from support import lm_eval_oracle as oracle`.
"""

import functools
import importlib
import json
import logging
import random
import socket
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards import sources
from zeroscale.eval.evaluate import score_cards
from zeroscale.eval.results import Result, read_records
from zeroscale.model import weights
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT

lm_eval = pytest.importorskip("lm_eval")

# Its task files, by the name of the task.
TASKS = {
    "lambada_openai": "lambada/lambada_openai.yaml",
    "coqa": "coqa/default.yaml",
    "wmt14-en-fr": "translation/wmt14_en-fr.yaml",
    "wmt14-fr-en": "translation/wmt14_fr-en.yaml",
    "wikitext": "wikitext/wikitext.yaml",
    "wsc273": "wsc273/default.yaml",
    "nq_open": "nq_open/nq_open.yaml",
}

WORDS = "the a cat dog house tree runs sees finds small old red green slowly often and but near under it is was"


def made_text(seed: int, words: int = 400) -> str:
    """Sentences of few words, with a line break now and then: enough to train a small tokenizer and model on."""
    draw = random.Random(seed)
    ends = [" "] * 16 + [", ", ". ", "? ", ".\n"]
    return "".join(draw.choice(WORDS.split()) + draw.choice(ends) for _ in range(words))


@dataclass(frozen=True)
class Twin:
    """One GPT-2: a directory in Hugging Face's format, our model of it, and lm-evaluation-harness's."""

    directory: Path
    model: GPT
    tokenizer: Tokenizer

    @cached_property
    def lm(self) -> Any:
        """lm-eval's own `hf` model, of what transformers reads from the directory."""
        import transformers
        from lm_eval.models.huggingface import HFLM

        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        transformers.logging.set_verbosity_error()
        model = transformers.AutoModelForCausalLM.from_pretrained(self.directory, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(self.directory, local_files_only=True)
        assert len(tokenizer) == self.tokenizer.vocab_size  # an empty one loads without a word
        return HFLM(pretrained=model.float().eval(), tokenizer=tokenizer, batch_size=8)


def twin(
    directory: Path,
    tokenizer: Tokenizer,
    texts: Sequence[str] = (),
    *,
    n_positions: int = 512,
    n_layer: int = 2,
    d_model: int = 32,
    steps: int = 80,
    seed: int = 0,
) -> Twin:
    """A small GPT-2 written to `directory`: random and wide awake without `texts`, else trained on them for `steps`.

    lm-eval leaves 256 positions for what a model generates: `n_positions` must be larger for tasks that do.
    """
    model = GPT(GPTConfig(tokenizer.vocab_size, n_positions, n_layer, d_model, 2), seed=seed)
    if texts:
        _train(model, tokenizer, texts, steps, seed)
    else:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(8.0)  # else all next tokens are about equally likely
    weights.save_pretrained(model, directory, eos=tokenizer.eos)
    tokenizer.save(directory)
    return Twin(directory, weights.from_pretrained(directory), tokenizer)


def _train(model: GPT, tokenizer: Tokenizer, texts: Sequence[str], steps: int, seed: int) -> None:
    """A few steps of AdamW on windows as long as the context, drawn by seed."""
    stream = torch.tensor([token for ids in tokenizer.encode_batch(list(texts)) for token in [*ids, tokenizer.eos]])
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    length = min(model.config.n_positions, len(stream) - 1)
    model.train()
    for _ in range(steps):
        begins = torch.randint(len(stream) - length, (4,), generator=draw).tolist()
        rows = torch.stack([stream[begin : begin + length + 1] for begin in begins])
        loss = torch.nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


@dataclass(frozen=True)
class Theirs:
    """What lm-eval found: scores by name; and for each row, in order, what was asked, answered and counted."""

    scores: dict[str, float]
    samples: list[dict[str, Any]]

    @property
    def responses(self) -> list[Any]:
        """Each row's answers as the model gave them: a list per row, of (log-likelihood, greedy), numbers or texts."""
        return [[answers[0] for answers in sample["resps"]] for sample in self.samples]


def evaluate(
    twin: Twin,
    task: str | Mapping[str, Any],
    data: Mapping[str, Path | Iterable[Mapping[str, Any]]],
    folder: Path,
    *,
    num_fewshot: int = 0,
    fewshot_seed: int = 1234,
    limit: int | None = None,
) -> Theirs:
    """Scores one of lm-eval's tasks by lm-eval's own code.

    Args:
        task: a name in `TASKS`, or a task of one's own in the form of its YAML.
        data: for each split that the task's YAML names: a JSONL file, or its rows.
        folder: takes the rows, the task's file and the cache of `datasets`.
        num_fewshot: 0 even where the task's YAML says nothing; `fewshot_seed` is lm-eval's default.
    """
    from lm_eval.evaluator import evaluate as run

    loaded = load(task, data, folder)
    loaded.set_config(key="num_fewshot", value=num_fewshot)
    loaded.set_fewshot_seed(seed=fewshot_seed)
    name = loaded.task_name
    with offline():
        found = run(lm=twin.lm, task_dict={"tasks": {name: loaded}}, limit=limit, bootstrap_iters=0)
    scores = {
        metric.split(",")[0]: value
        for metric, value in found["results"][name].items()
        if isinstance(value, float | int) and "stderr" not in metric
    }
    return Theirs(scores, sorted(found["samples"][name], key=lambda sample: sample["doc_id"]))


def load(task: str | Mapping[str, Any], data: Mapping[str, Path | Iterable[Mapping[str, Any]]], folder: Path) -> Any:
    """One of lm-eval's task objects, with its rows from local files; arguments as of `evaluate`."""
    from lm_eval import tasks as theirs

    squad_metrics()
    folder.mkdir(parents=True, exist_ok=True)
    source = {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": _files(data, folder), "cache_dir": str(folder / "datasets")},
    }
    if isinstance(task, str):
        content = {"include": str(Path(theirs.__file__).parent / TASKS[task]), "task": task, **source}
    else:
        content = {**task, **source}
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with offline():
        (loaded,) = theirs.TaskManager(include_defaults=False).load(str(path))["tasks"].values()
    return loaded


def _files(data: Mapping[str, Path | Iterable[Mapping[str, Any]]], folder: Path) -> dict[str, str]:
    files = {}
    for split, rows in data.items():
        path = rows if isinstance(rows, Path) else write_rows(folder / f"{split}.jsonl", rows)
        files[split] = str(path)
    return files


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def score(
    twin: Twin, card: str, data_dir: Path, out: Path, *, limit: int | None = None, protocol: str = "lm-eval"
) -> tuple[Result, list[dict[str, Any]]]:
    """Our result and its records, from the card's files in `data_dir`."""
    (result,) = score_cards(
        twin.model,
        twin.tokenizer,
        [card],
        source="files",
        data_dir=data_dir,
        out=out,
        weights_hash=str(twin.directory),
        bootstrap=100,
        protocol=protocol,
        limit=limit,
        allow_other_data=True,
    )
    return result, read_records(out, result.card, protocol)


def requests(twin: Twin, card: str, data_dir: Path, protocol: str = "lm-eval") -> tuple[list[Any], list[list[Any]]]:
    """Our examples from the card's files, and what each asks the model, which is not asked."""
    (found,) = cards.resolve([card])
    found = found.following(protocol)
    family = tasks.task_type(found.family)
    options = family.Options.model_validate(found.options(protocol))
    task = family(options, twin.tokenizer, twin.model.config.n_positions)
    examples = task.select(task.examples(sources.read(found, "files", data_dir, task.parse).rows), None)
    return examples, [task.requests(example) for example in examples]


def squad_metrics() -> Any:
    """SQuAD's exact match and F1 of one answer, `compute_exact(gold, answer)` and `compute_f1(gold, answer)`.

    lm-eval's coqa takes them from a module that transformers had until version 4. Where it is gone, this puts
    torchmetrics' own into its place, in double precision; neither was written here.
    """
    name = "transformers.data.metrics.squad_metrics"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        from torchmetrics.functional.text import squad

    def in_doubles(function: Any) -> Any:
        @functools.lru_cache(None)
        def call(gold: str, answer: str) -> float:
            default = torch.get_default_dtype()
            torch.set_default_dtype(torch.float64)
            try:
                return float(function(answer, gold))
            finally:
                torch.set_default_dtype(default)

        return call

    module = types.ModuleType(name)
    module.compute_f1 = in_doubles(sys.modules[squad.__module__]._compute_f1_score)
    module.compute_exact = in_doubles(sys.modules[squad.__module__]._compute_exact_match_score)
    parent = types.ModuleType("transformers.data.metrics")
    parent.squad_metrics = module
    sys.modules |= {parent.__name__: parent, name: module}
    return module


@contextmanager
def offline() -> Iterator[None]:
    """No way out of this machine: a connection is an error that says where it wanted to go."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX, f"a test must not go to the network: {address}"
        connect(self, address)

    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
