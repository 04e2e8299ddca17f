"""`data`: a corpus made ready for training."""

from pathlib import Path
from typing import Any

from zeroscale.command_settings import DataCommand
from zeroscale.strict import build

Config = dict[str, Any]


def data(config: Config) -> int:
    """Prepares a corpus."""
    wanted = build(DataCommand, config)
    from zeroscale.data import prepare
    from zeroscale.worker import stages

    directory = prepare.corpus_directory(Path(wanted.output_dir) / "corpora", wanted.data, wanted.tokenizer)
    corpus = prepare.prepare(wanted.data, wanted.tokenizer, directory, stages(lambda text: print(text, flush=True)))
    print(f"{directory}: {corpus.n_train_tokens:,} training tokens, {corpus.n_val_tokens:,} held out")
    print(f"fingerprint {corpus.fingerprint}")
    return 0
