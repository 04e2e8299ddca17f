"""`evaluate`, `load` and `compare` for notebooks: the same numbers by name, in memory, and through a bare module."""

from pathlib import Path

import pytest
import torch
from torch import nn

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import hf_adapter
from zeroscale.eval.api.comparison import compare
from zeroscale.eval.api.evaluation import evaluate
from zeroscale.eval.api.model import load, wrap_tokenizer
from zeroscale.eval.api.module_hash import module_hash
from zeroscale.eval.api.plain_module import PlainModule
from zeroscale.model import weights
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT

# Log-likelihoods, windows after one context, generated text and rolling windows.
CARDS = ["lambada", "cbt_cn", "coqa", "wikitext2"]
FAST = {"cards_from": "sample", "limit": 6, "bootstrap": 100}


class Bare(nn.Module):
    """Ids in, logits out, and nothing else."""

    def __init__(self, model: nn.Module, as_object: bool = False) -> None:
        super().__init__()
        self.inner, self.as_object = model, as_object

    def forward(self, ids: torch.Tensor) -> object:
        logits = self.inner(ids)
        return type("Output", (), {"logits": logits})() if self.as_object else logits


def values(evaluation) -> dict[tuple[str, str], float]:
    table = evaluation.table()
    return {(row.benchmark, row.metric): row.value for row in table.itertuples()}


@pytest.fixture(scope="module")
def own(model, tokenizer):
    return evaluate(model, CARDS, tokenizer=tokenizer, **FAST)


@pytest.mark.parametrize("as_object", [False, True])
def test_a_bare_module_has_the_scores_of_the_model_inside(own, model, tokenizer, as_object):
    module = Bare(model, as_object).train()
    evaluation = evaluate(module, CARDS, tokenizer=tokenizer, n_positions=128, name="bare", **FAST)
    assert values(evaluation) == pytest.approx(values(own), rel=1e-4)
    assert module.training and evaluation.label == "bare"
    for card in CARDS:
        ours, theirs = own.examples(card), evaluation.examples(card)
        assert list(ours.content) == list(theirs.content)
    if as_object:
        rows = compare(own, evaluation, ["lambada"]).rows
        assert {row.metric for row in rows} >= {"acc", "perplexity"}
        assert all(abs(row.difference) <= 1e-3 * abs(row.first) for row in rows)


def test_the_table_has_an_interval_for_each_score(own):
    table = own.table()
    assert set(table.benchmark) == set(CARDS) and (table.mark.str.contains("SAMPLE")).all()
    known = table.dropna(subset=["value", "low", "high"])
    assert len(known) > len(table) / 2 and ((known.low <= known.value) & (known.value <= known.high)).all()
    assert "95 % interval" in repr(own) and "SAMPLE" in repr(own)
    score = own.score("lambada", "acc")
    assert score.low <= score.value <= score.high and score.n == 6
    for card, metric, words in (("ptb", "acc", "was not scored"), ("lambada", "f1", "has no metric 'f1'")):
        with pytest.raises(ZeroscaleError, match=words):
            own.score(card, metric)


def test_a_model_of_transformers_with_its_tokenizer(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    shape = {"vocab_size": 257, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": 256, "eos_token_id": 256, "max_position_embeddings": 64, "initializer_range": 0.3}
    config = transformers.GPTNeoXConfig(**shape, **ids, intermediate_size=64)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path / "neox")
    Tokenizer.bytes().save(tmp_path / "neox")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "neox")
    in_memory = evaluate(model, ["lambada", "coqa"], tokenizer=theirs, **FAST)
    by_name = evaluate(tmp_path / "neox", ["lambada", "coqa"], output_dir=tmp_path / "outputs", **FAST)
    assert values(in_memory) == pytest.approx(values(by_name), rel=1e-5)
    assert by_name.out.is_relative_to(tmp_path / "outputs" / "eval") and in_memory.label == type(model).__name__
    assert compare(by_name.out.parent, in_memory).rows
    wrapped = wrap_tokenizer(theirs)
    assert isinstance(wrapped, hf_adapter.TransformersTokenizer)
    text = "<|endoftext|> is text"
    assert wrapped.encode(text) == Tokenizer.bytes().encode(text)
    assert getattr(theirs, "split_special_tokens", False) is False


def test_a_run_by_name(trained: Path):
    evaluation = evaluate(trained, "lambada", output_dir=trained.parents[1], cards_from="sample")
    assert [result.card for result in evaluation.results] == ["held_out", "lambada"]
    assert evaluation.out == trained / "evals" / "step-00000020" and "step 20" in evaluation.label
    model, tokenizer = load(trained, output_dir=trained.parents[1])
    assert not model.training and tokenizer.decode(tokenizer.encode("the cat")) == "the cat"
    in_memory = evaluate(model, "lambada", tokenizer=tokenizer, cards_from="sample", out=trained.parent / "kept")
    assert in_memory.score("lambada", "perplexity").value == evaluation.score("lambada", "perplexity").value
    assert (trained.parent / "kept" / "lambada.paper.json").is_file()
    with pytest.raises(ZeroscaleError, match="are the same results"):
        compare(trained, evaluation)


def test_results_of_a_model_in_memory_go_with_the_object(model, tokenizer):
    evaluation = evaluate(model, "lambada", tokenizer=tokenizer, **FAST)
    out = evaluation.out
    assert list(out.glob("lambada.*"))
    del evaluation
    assert not out.exists()


def test_faults_say_what_to_give(model, tokenizer, tmp_path):
    cases = [
        (model, "lambada", {}, "needs tokenizer="),
        (model, "lambada", {"tokenizer": object()}, "tokenizer=object"),
        (Bare(model), "lambada", {"tokenizer": tokenizer}, "n_positions="),
        (nn.Flatten(), "lambada", {"tokenizer": tokenizer, "n_positions": 8}, r"must map token ids \[B, T\]"),
        (model, "lamda", {"tokenizer": tokenizer}, "lambada"),
        (model, "lambada", {"tokenizer": tokenizer, "limitt": 3}, "limitt"),
        (tmp_path, "lambada", {}, "is not a checkpoint"),
        (tmp_path, "lambada", {"tokenizer": tokenizer}, "brings its own"),
    ]
    for given, cards, options, words in cases:
        with pytest.raises(ZeroscaleError, match=words):
            evaluate(given, cards, **{**FAST, **options})


def test_a_module_keeps_histories_of_rows_that_begin_apart(model):
    plain = PlainModule(Bare(model), 128)
    ids = torch.randint(0, 257, (3, 9), generator=torch.Generator().manual_seed(0))
    starts = [0, 2, 4]
    history = plain.new_cache(3, 9, starts)
    parts = [plain.hidden(ids[:, :5], history), plain.hidden(ids[:, 5:6], history)]
    chosen = history.select([2, 0])
    assert history.drop([1]) == [0, 2] and history.length == chosen.length == 6
    together = torch.cat(parts, dim=1)
    for row, start in enumerate(starts):
        assert torch.allclose(together[row, start:], model(ids[row : row + 1, start:6])[0], atol=1e-4)
    last = plain.hidden(ids[[2, 0], 6:], chosen)
    assert torch.allclose(last[0], model(ids[2:, 4:])[0, -3:], atol=1e-4)


def test_a_module_is_known_by_its_weights(tmp_path, model):
    before = module_hash(model)
    assert before == module_hash(model)
    weights.save_pretrained(model, tmp_path / "copy")
    copied = weights.from_pretrained(tmp_path / "copy")
    assert module_hash(copied) == before
    next(iter(copied.parameters())).data[0, 0] += 1
    assert module_hash(copied) != before


def test_a_module_is_known_by_its_settings_and_code_too(model):
    transformers = pytest.importorskip("transformers")
    shape = {"vocab_size": 257, "n_positions": 32, "n_layer": 1, "n_embd": 12, "bos_token_id": 256, "eos_token_id": 256}
    one, other = (transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape, n_head=n)) for n in (2, 4))
    other.load_state_dict(one.state_dict())
    again = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape, n_head=2))
    again.load_state_dict(one.state_dict())
    assert module_hash(one) == module_hash(again) == module_hash(again.train()) != module_hash(other)
    heads, other_heads = (GPT(GPTConfig(257, 16, 1, 12, heads), seed=1) for heads in (2, 4))
    assert module_hash(heads) != module_hash(other_heads)

    def scaled(by: float) -> nn.Module:
        body = Bare(model)
        body.scale = by
        return body

    assert module_hash(scaled(1.0)) == module_hash(scaled(1.0)) != module_hash(scaled(2.0))

    class Louder(Bare):
        def forward(self, ids):
            return 2 * super().forward(ids)

    first = module_hash(Louder(model))

    class Louder(Bare):  # as a cell of a notebook that is run again
        def forward(self, ids):
            return 3 * super().forward(ids)

    assert module_hash(Louder(model)) != first
