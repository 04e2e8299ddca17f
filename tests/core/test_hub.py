"""Names of the hub, downloaded by the real client from a hub of our own: what arrives, and what is said when nothing
does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment
from support import hub_server
from support.hub_server import Repository

NOWHERE = "http://127.0.0.1:9"
"""The loopback's port 9, where nobody listens."""

SCORE = ["cards=[lambada]", "cards_from=sample"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A GPT-2 with random weights as transformers saves it, a tokenizer of bytes, and what else repositories hold."""
    transformers = pytest.importorskip("transformers")
    import torch

    from zeroscale.data.tokenizer import Tokenizer

    directory = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    shape = {"vocab_size": 257, "n_positions": 128, "n_layer": 1, "n_embd": 16, "n_head": 2}
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).save_pretrained(directory)
    Tokenizer.bytes().save(directory)
    (directory / "pytorch_model.bin").write_bytes(b"the same weights again, as a pickle")
    (directory / "tf_model.h5").write_bytes(b"and once more")
    return directory


@pytest.fixture
def model(hub, tiny) -> Repository:
    """The tiny model on the hub, as tiny/gpt2."""
    hub.repositories["tiny/gpt2"] = Repository.of(tiny)
    return hub.repositories["tiny/gpt2"]


PROCESS = """
import sys, time
from zeroscale.core.errors import ZeroscaleError
started = time.monotonic()
try:
{code}
except ZeroscaleError as error:
    print(error)
print(time.monotonic() - started)
"""


def ask(code: str, settings: dict[str, str], *arguments: str) -> tuple[str, float]:
    """What a process of its own says (the libraries read these variables once), an error included, and in how long."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESS.format(code=code), *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said, _, seconds = done.stdout.strip().rpartition("\n")
    return said, float(seconds)


def snapshot(settings: dict[str, str], name: str, revision: str = "") -> tuple[str, float]:
    """`hub.snapshot` in a process of its own: the directory and the commit, or the error."""
    code = "    from zeroscale.core import hub\n    print(*hub.snapshot(sys.argv[1], sys.argv[2] or None))"
    return ask(code, settings, name, revision)


class TestScoringByName:
    def test_a_name_is_scored_as_its_directory_is_and_the_commit_recorded(self, zeroscale, hub, model, tiny, tmp_path):
        home = tmp_path / "home"
        model.revisions.add("step100")
        zeroscale("eval", "checkpoint=tiny/gpt2", "revision=step100", *SCORE, **hub.client(home))
        (out,) = tmp_path.glob("outputs/eval/tiny-gpt2-*")
        source = json.loads((out / "source.json").read_text())
        assert source["checkpoint"] == "tiny/gpt2" and source["revision"] == "step100"
        assert source["commit"] == model.commit
        fetched = {path.rpartition("/")[2] for method, path, _ in hub.log if method == "GET" and "/resolve/" in path}
        assert {"config.json", "model.safetensors", "vocab.json", "merges.txt"} <= fetched
        assert not fetched & {"pytorch_model.bin", "tf_model.h5"}

        zeroscale("eval", f"checkpoint={tiny}", *SCORE)
        (local,) = tmp_path.glob(f"outputs/eval/{tiny.name}-*")
        by_name, by_path = (json.loads((d / "evals" / "lambada.paper.json").read_text()) for d in (out, local))
        assert by_name["metrics"] == by_path["metrics"] and by_name["weights_hash"] == by_path["weights_hash"]

    def test_what_is_in_the_cache_needs_no_hub(self, hub, model, tmp_path):
        found = snapshot(hub.client(tmp_path), "tiny/gpt2")[0]
        for settings in (hub.client(tmp_path, HF_HUB_OFFLINE="1"), hub_server.client(NOWHERE, tmp_path)):
            assert snapshot(settings, "tiny/gpt2")[0] == found

    def test_a_directory_of_that_name_comes_first(self, zeroscale, hub, model, tiny, tmp_path):
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "gpt2").symlink_to(tiny)
        zeroscale("eval", "checkpoint=tiny/gpt2", *SCORE, **hub.client(tmp_path / "home"))
        assert not hub.log
        refused = zeroscale("eval", "checkpoint=tiny/gpt2", "revision=main", *SCORE, code=2)
        assert "belongs to a name of the hub" in refused.stderr

    def test_a_path_that_is_not_there_is_no_question_for_the_hub(self, zeroscale, hub, tmp_path):
        (tmp_path / "outputs").mkdir()
        said = zeroscale("eval", "checkpoint=outputs/typo", *SCORE, code=2, **hub.client(tmp_path / "home")).stderr
        assert "outputs/typo is not a directory" in said and not hub.log


class TestRefusals:
    def test_an_unknown_name_or_revision_or_file_is_named(self, hub, model, tmp_path):
        said, _ = snapshot(hub.client(tmp_path), "tiny/gpt3")
        assert "tiny/gpt3 is no directory here" in said and "has no such repository, or it is private" in said
        said, _ = snapshot(hub.client(tmp_path), "tiny/gpt2", "step7")
        assert "the repository has no revision step7" in said
        for name in ("model.safetensors", "pytorch_model.bin"):
            del model.files[name]
        assert "holds no weights that can be read" in snapshot(hub.client(tmp_path), "tiny/gpt2")[0]
        del model.files["config.json"]
        assert "has no config.json" in snapshot(hub.client(tmp_path), "tiny/gpt2")[0]

    def test_a_gated_repository_says_where_access_is_asked_for(self, hub, model, tmp_path):
        model.gated = True
        said, _ = snapshot(hub.client(tmp_path), "tiny/gpt2")
        assert "access to it is granted on its page" in said and "HF_TOKEN" in said

    def test_a_short_wait_is_waited(self, hub, model, tmp_path):
        hub.busy = [{"Retry-After": "1"}, {"RateLimit": '"api";r=0;t=1'}]
        said, seconds = snapshot(hub.client(tmp_path), "tiny/gpt2")
        assert said.endswith(model.commit) and 2 < seconds < 60

    def test_a_long_wait_is_said_and_not_waited(self, hub, model, tmp_path):
        hub.busy = [{"Retry-After": "3600"}] * 9
        said, seconds = snapshot(hub.client(tmp_path), "tiny/gpt2")
        assert "too many requests (HTTP 429): try again in 1.0 h" in said and seconds < 30

    @pytest.mark.parametrize("settings", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": NOWHERE}])
    def test_without_a_network_the_message_comes_within_seconds_and_says_what_to_do(self, settings, tmp_path):
        said, seconds = snapshot({**hub_server.client(NOWHERE, tmp_path), **settings}, "tiny/gpt2")
        why = "HF_HUB_OFFLINE is set" if "HF_HUB_OFFLINE" in settings else f"{NOWHERE} does not answer"
        assert why in said and "does not hold tiny/gpt2" in said and seconds < 30
        assert "into a directory and give that" in said and "HF_HOME" in said

    def test_a_server_that_is_silent_is_given_up(self, tmp_path):
        import socket

        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
            said, seconds = snapshot(
                hub_server.client(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path), "tiny/gpt2"
            )
        assert "does not answer" in said and seconds < 30


class TestBrokenDownloads:
    def test_a_file_that_breaks_off_goes_on_from_there(self, hub, tmp_path):
        # More than one of the client's pieces of 10 MiB: what it has of a piece is lost with the connection.
        weights = bytes(range(256)) * (24 * 4096)
        hub.repositories["tiny/large"] = Repository({"config.json": b"{}", "model.safetensors": weights})
        hub.breaks["model.safetensors"] = 15 << 20
        said, _ = snapshot(hub.client(tmp_path), "tiny/large")
        directory, commit = said.split()
        assert commit == hub.repositories["tiny/large"].commit
        assert (Path(directory) / "model.safetensors").read_bytes() == weights
        assert f"bytes={10 << 20}-" in [ranged for _, path, ranged in hub.log if path.endswith("model.safetensors")]

    @pytest.mark.parametrize("pattern", ["model-0000{}-of-00002.safetensors", "part{}.safetensors"])
    def test_what_is_only_partly_in_the_cache_is_not_taken_for_whole(self, hub, pattern, tmp_path):
        shards = [pattern.format(n) for n in (1, 2)]
        index = json.dumps({"weight_map": dict(zip("ab", shards, strict=True))}).encode()
        files = {"config.json": b"{}", "model.safetensors.index.json": index, **dict.fromkeys(shards, b"some")}
        hub.repositories["tiny/shards"] = Repository(files)
        directory = Path(snapshot(hub.client(tmp_path), "tiny/shards")[0].split()[0])
        assert all((directory / name).is_file() for name in files)
        offline = hub.client(tmp_path, HF_HUB_OFFLINE="1")
        assert snapshot(offline, "tiny/shards")[0].startswith(str(directory))
        (directory / shards[1]).unlink()
        assert "holds only a part of tiny/shards" in snapshot(offline, "tiny/shards")[0]


LAMBADA = """
    from zeroscale.eval.cards import hub, registry
    rows = hub.load(registry.resolve(["lambada"])[0].sources.hub)
    print(len(rows), rows[0]["text"])
"""


class TestDatasets:
    ROWS = "".join(json.dumps({"text": f"a passage with a last word{n}"}) + "\n" for n in range(5)).encode()

    def test_a_benchmark_is_read_from_the_hub_and_then_from_the_cache(self, hub, tmp_path):
        hub.repositories["datasets/EleutherAI/lambada_openai"] = Repository({"test.jsonl": self.ROWS})
        assert ask(LAMBADA, hub.client(tmp_path))[0] == "5 a passage with a last word0"
        said, _ = ask(LAMBADA, hub.client(tmp_path, HF_HUB_OFFLINE="1"))
        assert said == "5 a passage with a last word0"

    def test_a_benchmark_that_is_not_there_or_not_now_is_named(self, hub, tmp_path):
        said, _ = ask(LAMBADA, hub.client(tmp_path))
        assert "EleutherAI/lambada_openai" in said and "has no such repository" in said
        hub.repositories["datasets/EleutherAI/lambada_openai"] = Repository({"test.jsonl": self.ROWS})
        hub.busy = [{"Retry-After": "1800"}] * 20
        said, seconds = ask(LAMBADA, hub.client(tmp_path))
        assert "too many requests (HTTP 429): try again in 30 min" in said and seconds < 30

    @pytest.mark.parametrize("streaming", ["true", "false"])
    def test_a_corpus_is_made_of_a_dataset(self, zeroscale, hub, streaming, tmp_path):
        rows = "".join(json.dumps({"text": f"text number {n}. " * 20}) + "\n" for n in range(40))
        hub.repositories["datasets/tiny/texts"] = Repository({"data/train.jsonl": rows.encode()})
        wanted = ["data=hub", "data.dataset=tiny/texts", "data.name=texts", "data.val_fraction=0.2", "tokenizer=bytes"]
        wanted += [f"data.streaming={streaming}"]
        done = zeroscale("data", *wanted, **hub.client(tmp_path / "home"))
        assert "training tokens" in done.stdout
        refused = zeroscale("data", *wanted, "data.revision=v2", code=2, **hub.client(tmp_path / "home"))
        assert "tiny/texts" in refused.stderr and "has no revision v2" in refused.stderr
