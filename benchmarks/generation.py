"""Tokens per second of batched greedy decoding beside transformers' `generate`, on the same weights of GPT-2 small.

    OMP_WAIT_POLICY=passive MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 \
        python benchmarks/generation.py

Both make exactly the same number of tokens, and the tokens are compared. Turns and ratios as in forward.py.
"""

import argparse
import tempfile

import torch
import transformers
from forward import pair, show, take_turns

from zeroscale.model.generation.generate import generate
from zeroscale.model.gpt import GPT


def prompts(batch: int, context: int, ragged: bool) -> list[list[int]]:
    generator = torch.Generator().manual_seed(batch)
    tokens = torch.randint(0, 50256, (batch, context), generator=generator).tolist()
    return [row[: context - index * context // (2 * batch)] for index, row in enumerate(tokens)] if ragged else tokens


def by_transformers(model: transformers.GPT2LMHeadModel, rows: list[list[int]], new: int) -> list[list[int]]:
    longest = max(map(len, rows))
    ids = torch.tensor([[50256] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    # `eos_token_id=None` keeps it from ending rows, as ours does without an eos.
    found = model.generate(
        ids, attention_mask=mask, do_sample=False, max_new_tokens=new, pad_token_id=50256, eos_token_id=None
    )
    return found[:, longest:].tolist()


def compare(ours: GPT, theirs: transformers.GPT2LMHeadModel, rows: list[list[int]], new: int, turns: int) -> None:
    contestants = {
        "ours": lambda: generate(ours, rows, new),
        "transformers": lambda: by_transformers(theirs, rows, new),
    }
    pairs = zip(contestants["ours"](), contestants["transformers"](), strict=True)
    equal = sum(a == b for a, b in pairs)
    show(take_turns(contestants, turns), len(rows) * new)
    print(f"  rows with exactly the same tokens: {equal} of {len(rows)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--context", type=int, default=64, help="tokens of the longest prompt")
    parser.add_argument("--new", type=int, default=128, help="tokens to make for each prompt")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = pair(directory)
        for batch, ragged in ((1, False), (32, False), (32, True)):
            print(f"batch {batch}, prompts of {arguments.context} tokens{' and fewer' * ragged}, {arguments.new} new")
            compare(ours, theirs, prompts(batch, arguments.context, ragged), arguments.new, arguments.turns)


if __name__ == "__main__":
    main()
