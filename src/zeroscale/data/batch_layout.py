"""How a global batch of tokens is divided among devices; imports no torch, so that `plan` can ask."""

from dataclasses import dataclass

from zeroscale.config.train import TrainConfig
from zeroscale.core import machine

# Tokens of one forward and backward pass on one device, unless the settings say otherwise.
MICRO_BATCH_LIMIT = {"cpu": 8192, "cuda": 32768}


@dataclass(frozen=True)
class BatchLayout:
    """How a global batch of `rows` windows becomes micro-batches: every rank does `accumulation` of `micro_rows`."""

    rows: int
    ranks: int
    micro_rows: int

    @property
    def accumulation(self) -> int:
        return self.rows // (self.ranks * self.micro_rows)

    def rows_of(self, rank: int, micro: int) -> slice:
        """The rows of the global batch that are a rank's micro-batch number `micro`."""
        start = (micro * self.ranks + rank) * self.micro_rows
        return slice(start, start + self.micro_rows)


def layout(batch_tokens: int, context: int, ranks: int, micro_batch_tokens: int | None, limit: int) -> BatchLayout:
    """Micro-batches as given, or the largest that divide a rank's share within `limit` tokens (at least a row).

    The settings have been checked: the share is a whole number of rows.
    """
    share = batch_tokens // (context * ranks)
    if micro_batch_tokens:
        micro = micro_batch_tokens // context
    else:
        most = max(1, min(share, limit // context))
        micro = max(rows for rows in range(1, most + 1) if share % rows == 0)
    assert share % micro == 0
    return BatchLayout(rows=share * ranks, ranks=ranks, micro_rows=micro)


def layout_of(config: TrainConfig) -> BatchLayout:
    """The layout of a run on the accelerator that it will use."""
    return layout_for(config, machine.resolve_accelerator(config.trainer.accelerator))


def layout_for(config: TrainConfig, kind: str) -> BatchLayout:
    """The layout of a run on "cpu" or "cuda", whichever this machine has."""
    trainer = config.trainer
    return layout(
        trainer.batch_tokens, config.context, trainer.devices, trainer.micro_batch_tokens, MICRO_BATCH_LIMIT[kind]
    )
