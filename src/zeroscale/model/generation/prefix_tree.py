"""Token sequences that begin alike, laid out in one row so that what they share is computed once.

The sequences form a trie. Its nodes stand in one row in the order in which they are met; a node attends to its
ancestors and to itself and has its depth for a position, so that its state is what the model computes for its own
sequence alone. Ten candidates after one story, the turns of a conversation and questions after the same example pairs
are all such tries.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

Tokens = tuple[int, ...]

# Shorter common beginnings are not worth a mask in place of the plain causal one.
MIN_SHARED = 16
# Shorter plain beginnings are not worth a call of their own to attention.
MIN_PLAIN = 64


@dataclass
class PrefixTrie:
    """One trie. `paths[member]` are the places in the row of a sequence's tokens, one by one."""

    tokens: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)
    segments: list[tuple[int, int, list[int]]] = field(default_factory=list)
    """New nodes [begin, end) and the places of their common ancestors."""

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def branched(self) -> bool:
        """Whether some node does not look at all that stand before it. One sequence alone never is, and neither are
        sequences of which each begins with all of the one before: turns of a conversation."""
        return any(len(ancestors) < begin for begin, _, ancestors in self.segments)

    def append(self, sequence: Sequence[int], shared: int) -> None:
        """Adds a sequence that has its first `shared` tokens in common with the one added last."""
        ancestors = self.paths[-1][:shared] if self.paths else []
        begin = len(self.tokens)
        self.tokens += sequence[shared:]
        self.depths += range(shared, len(sequence))
        end = len(self.tokens)
        if end > begin:
            self.segments.append((begin, end, ancestors))
        self.paths.append([*ancestors, *range(begin, end)])


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Tokens that two sequences have in common at their beginnings."""
    size = min(len(a), len(b))
    if a[:size] == b[:size]:
        return size
    low, high = 0, size  # a[:low] == b[:low], a[:high] != b[:high]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle)
    return low


def build_tries(sequences: Sequence[Tokens], members: Iterable[int], max_tokens: int) -> Iterator[PrefixTrie]:
    """Tries of at most `max_tokens` nodes (or of one sequence) over `sequences[member]`; together they hold each once.

    Neighbours in sorted order share the most, so one pass over them finds every trie.
    """
    trie = PrefixTrie()
    last: Sequence[int] = ()
    for member in sorted(members, key=lambda member: sequences[member]):
        sequence = sequences[member]
        shared = common_prefix(last, sequence)
        if trie.members and (shared < MIN_SHARED or len(trie) + len(sequence) - shared > max_tokens):
            yield trie
            trie, shared = PrefixTrie(), 0
        trie.append(sequence, shared)
        trie.members.append(member)
        last = sequence
    if trie.members:
        yield trie


def single(sequence: Sequence[int], member: int) -> PrefixTrie:
    """The trie of one sequence."""
    trie = PrefixTrie(members=[member])
    trie.append(sequence, 0)
    return trie


def batches(tries: Iterable[PrefixTrie], budget: int, constant: int) -> list[list[PrefixTrie]]:
    """Tries that go through the model together, the longest first; each batch at most `budget` positions (or one trie).

    A batch costs its rows times its longest row, and a constant for reading the weights and starting the kernels.
    Sorted by length, the best batches are neighbours; which, a dynamic program over their ends finds.

    Args:
        constant: what a pass over the model costs however short it is, in positions.
    """
    order = sorted(tries, key=lambda trie: (-len(trie), trie.members[0]))
    lengths = np.array([len(trie) for trie in order])
    count = len(order)
    # least_cost[end] is that of the best batches of the first `end` tries, begins[end] where the last of them begins.
    least_cost = np.zeros(count + 1, dtype=np.int64)
    begins = np.zeros(count + 1, dtype=np.int64)
    first = 0
    for end in range(1, count + 1):
        while first < end - 1 and (end - first) * lengths[first] > budget:
            first += 1
        costs = least_cost[first:end] + (end - np.arange(first, end)) * lengths[first:end] + constant
        best = int(costs.argmin())
        least_cost[end], begins[end] = costs[best], first + best
    last_first: list[list[PrefixTrie]] = []
    end = count
    while end:
        begin = int(begins[end])
        last_first.append(order[begin:end])
        end = begin
    return last_first[::-1]


@dataclass(frozen=True)
class PackedTries:
    """Tries side by side, as the model takes them: each a row, padded on the right to the widest."""

    tokens: Tensor
    """[B, T]"""
    positions: Tensor
    """[B, T] or [T]"""
    mask: Tensor | None
    """[B, 1, R, T], True where a row's node may look, of the last R nodes: those before are one sequence in every row.
    None where all are: plain causal."""


def pack(tries: Sequence[PrefixTrie], device: torch.device | str = "cpu") -> PackedTries:
    """Rows, positions and mask. A padding node sees itself alone and is seen by none."""
    width = max(map(len, tries))
    tokens = torch.zeros((len(tries), width), dtype=torch.long)
    if not any(trie.branched for trie in tries):
        # Padding on the right is not seen by what stands before it.
        for row, trie in enumerate(tries):
            tokens[row, : len(trie)] = torch.tensor(trie.tokens)
        return PackedTries(tokens.to(device), torch.arange(width, device=device), None)
    positions = torch.zeros_like(tokens)
    mask = torch.zeros((len(tries), width, width), dtype=torch.bool)
    mask.diagonal(dim1=1, dim2=2).fill_(True)
    for row, trie in enumerate(tries):
        tokens[row, : len(trie)] = torch.tensor(trie.tokens)
        positions[row, : len(trie)] = torch.tensor(trie.depths)
        for begin, end, ancestors in trie.segments:
            mask[row, begin:end, begin:end] = torch.ones((end - begin, end - begin), dtype=torch.bool).tril_()
            if ancestors:
                mask[row, begin:end, torch.tensor(ancestors)] = True
    # What every row begins with, its first sequence, takes the causal way: half the work, and no mask to read.
    plain = min(trie.segments[0][1] for trie in tries)
    mask = mask[:, None, plain if plain >= MIN_PLAIN else 0 :]
    return PackedTries(tokens.to(device), positions.to(device), mask.to(device))
