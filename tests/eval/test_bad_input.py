"""What no file shows: weights that are broken, whatever is asked of them. Broken rows: test_sources, each family's."""

import copy
from pathlib import Path

import pytest
import torch

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import evaluate
from zeroscale.eval.cards import registry as cards
from zeroscale.model.generation.generate import generate
from zeroscale.model.gpt import GPT


@pytest.fixture(params=[torch.nan, torch.inf])
def broken(request: pytest.FixtureRequest, model: GPT) -> GPT:
    """One weight is no number."""
    gpt = copy.deepcopy(model)
    gpt.blocks[0].mlp.up.weight.data[0, 0] = request.param
    return gpt


@pytest.mark.parametrize("name", cards.names())
def test_logits_that_are_not_finite_stop_every_card(
    broken: GPT, tokenizer: Tokenizer, tmp_path: Path, name: str
) -> None:
    said = {}
    options = {"source": "sample", "data_dir": None, "out": tmp_path, "weights_hash": "w", "limit": 2}
    done = evaluate.score_cards(broken, tokenizer, [name], **options, on_fault=said.__setitem__)
    assert not done and not list(tmp_path.glob("*.json"))
    assert "not finite: its weights hold NaN or infinite numbers" in str(said[name])


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": 1.0}, {"temperature": 1.0, "top_k": 2}])
def test_a_text_is_not_written_from_them_either(broken: GPT, options: dict[str, float]) -> None:
    with pytest.raises(ZeroscaleError, match="a logit that is not finite"):
        generate(broken, [[1, 2, 3], [4]], 5, **options)
