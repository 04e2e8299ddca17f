"""A run by what it was trained on: a path counts by its content, however it is spelt and wherever the study lies."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from zeroscale.config.data import DataConfig
from zeroscale.config.model import TokenizerConfig
from zeroscale.config.spelling import is_same_place
from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.paths import expand_home
from zeroscale.runs import layout
from zeroscale.runs.manifest import CorpusFacts
from zeroscale.runs.run import Run


class Contents:
    """What the paths of settings hold now; each corpus is looked at once.

    Args:
        say: told how far the preparation of a corpus is. Without it none is prepared: where only its tokens would tell
            that it is the recorded one, it counts as another.
    """

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self._say = say
        self._prepared: dict[tuple[DataConfig, TokenizerConfig, str], str | None] = {}
        self._texts: dict[DataConfig, str | None] = {}
        self._changes: dict[tuple[DataConfig, TokenizerConfig, str], str | None] = {}

    def recorded(self, config: TrainConfig) -> TrainConfig:
        """The settings as the study knows them: with the paths of the run that has begun with the same content, if
        there is one; where the files lie now is then in `places`."""
        if not config.paths or layout.is_run(layout.run_directory(config)):
            return config
        for run in _alike(config):
            if self._is_content_of(config, run):
                return _respelt(config, run)
        if config.init_from.run == "trunk":
            # A new branch belongs to the trunk that is there, whose spelling is part of both hashes.
            trunk = self.recorded(config.trunk())
            if trunk.places:
                spelt = {key: trunk.paths[key] for key in trunk.places}
                return dataclasses.replace(config.with_paths(spelt), places=trunk.places)
        return config

    def change(self, config: TrainConfig, run: Run) -> str | None:
        """How what the paths hold differs from what a run was trained on, in words; None where it does not, or where
        nothing is left that tells."""
        facts, here = run.manifest.get("corpus", {}), config.here
        fingerprint = facts.get("fingerprint")
        if fingerprint is None:
            return None
        prepared = self._fingerprint(here)
        if prepared is not None:
            if prepared != fingerprint:
                return (
                    f"the corpus prepared from it has the fingerprint {prepared[:12]}, the run's had {fingerprint[:12]}"
                )
            return self._change_since(here)
        recorded = facts.get("content")
        if recorded is not None and self._content(here) not in (None, recorded):
            return "its files are not those that the run was trained on"
        return None

    def _is_content_of(self, config: TrainConfig, run: Run) -> bool:
        if _is_same_place(config, run.config):
            return True
        facts = run.manifest.get("corpus", {})
        if "fingerprint" not in facts:
            return False
        prepared = self._fingerprint(config)
        if prepared is None:
            known = self._knows(config, facts)
            if known is not None:
                return known
            prepared = self._prepare(config)
        return prepared == facts["fingerprint"]

    def _knows(self, config: TrainConfig, facts: CorpusFacts) -> bool | None:
        """Whether the files hold what is recorded; None where only their tokens would tell."""
        if facts.get("content") is None or "data.leave_out_ngrams" in config.paths:
            return None
        content = self._content(config)
        if content is None and config.data.kind == "files":
            return False
        return True if content == facts["content"] else None

    def _content(self, config: TrainConfig) -> str | None:
        """Of the files that the settings name; None where there are none."""
        from zeroscale.data.sources import sources

        if config.data not in self._texts:
            self._texts[config.data] = None
            with contextlib.suppress(ZeroscaleError):
                self._texts[config.data] = sources.content_hash(config.data)
        return self._texts[config.data]

    def _fingerprint(self, config: TrainConfig) -> str | None:
        """Of the corpus that has been prepared from what the paths hold; None where none has."""
        from zeroscale.data.prepare import existing

        key = (config.data, config.tokenizer, config.output_dir)
        if key not in self._prepared:
            found = existing.find(layout.corpora(Path(config.output_dir)), config.data, config.tokenizer)
            self._prepared[key] = existing.fingerprint_of(found)
        return self._prepared[key]

    def _prepare(self, config: TrainConfig) -> str | None:
        """The fingerprint of the corpus, prepared now: a run that is no other's would need it next."""
        from zeroscale.launch.worker import progress_callback
        from zeroscale.training import build

        if self._say is None:
            return None
        key = (config.data, config.tokenizer, config.output_dir)
        try:
            corpus = build.corpus(config.data, config.tokenizer, config.output_dir, progress_callback(self._say))
            self._prepared[key] = corpus.fingerprint
        except ZeroscaleError:
            # The run itself will say why.
            return None
        return self._prepared[key]

    def _change_since(self, config: TrainConfig) -> str | None:
        from zeroscale.data.prepare import existing, prepare

        key = (config.data, config.tokenizer, config.output_dir)
        if key not in self._changes:
            found = existing.find(layout.corpora(Path(config.output_dir)), config.data, config.tokenizer)
            self._changes[key] = prepare.change_of(found, config.data)
        return self._changes[key]


def _alike(config: TrainConfig) -> Iterator[Run]:
    """The runs of its study whose settings are the same but for the spelling of paths."""
    wanted = config.hash_without_paths()
    study = layout.run_directory(config).parent
    for path in layout.run_directories(study):
        if path.name.startswith(f"{config.model.name}-seed{config.seed}-"):
            with contextlib.suppress(ZeroscaleError, OSError):
                run = Run(path)
                _ = run.manifest  # what cannot be read is no other's
                if run.config.hash_without_paths() == wanted:
                    yield run


def _is_same_place(config: TrainConfig, other: TrainConfig) -> bool:
    """Whether all paths of both are the same places, seen from here."""
    paths, others = config.paths, other.paths
    return all(is_same_place(path, others[key]) for key, path in paths.items())


def _respelt(config: TrainConfig, run: Run) -> TrainConfig:
    """The settings with a run's paths, and the places of their own."""
    recorded = run.config.paths
    places = {
        key: os.path.abspath(expand_home(path))
        if os.path.lexists(expand_home(path)) or key.startswith("data.")
        else path
        for key, path in config.paths.items()
        if path != recorded[key]
    }
    return dataclasses.replace(config.with_paths({key: recorded[key] for key in places}), places=places)


def same_in_one_sweep(config: TrainConfig, earlier: TrainConfig) -> bool:
    """Whether two configurations of one command are one cell that is spelt in two ways."""
    return (
        (config.model.name, config.seed, config.hash_without_paths())
        == (earlier.model.name, earlier.seed, earlier.hash_without_paths())
    ) and _is_same_place(config, earlier)
