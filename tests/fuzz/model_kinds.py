"""What every kind of input is made of: files below a folder, and the commands that read them."""

import random
from pathlib import Path

from fuzz import mutate, seeds
from fuzz.runner import Attempt

STUDY_FILES = ("outputs/*/results.csv", "outputs/*/fit.json", "outputs/*/report*", "outputs/*/overlap*")
SCORES = ("outputs/eval/*", "outputs/eval", "outputs/.*", "outputs", "table*")


def checkpoints(draw: random.Random, seed: Path, work: Path) -> Attempt:
    """A Hugging Face directory or a checkpoint of ours with damaged settings, weights or names."""
    kind = draw.choices(["gpt2", "llama", "trained"], [6, 3, 3])[0]
    note = []
    if kind == "trained":
        seeds.copy(seed / "trained" / "outputs", work / "outputs")
        (folder,) = work.glob("outputs/single/*/checkpoints/step-*10")
        names = ["config.yaml", "manifest.json"] if draw.random() < 0.2 else []
        files = [*mutate.files_below(folder), *(folder.parent.parent / name for name in names)]
        target = str(folder.relative_to(work))
    else:
        folder = seeds.copy(seed / kind, work / "m")
        files = [path for path in mutate.files_below(folder) if not path.name.startswith(("vocab", "merges", "token"))]
        target = "m"
    if draw.random() < 0.06 and kind != "trained":
        note.append(as_pickle(draw, folder))
    elif draw.random() < 0.1 and kind != "trained":
        note.append(as_shards(draw, folder))
    else:
        weights = [path for path in files if path.suffix == ".safetensors"]
        path = draw.choice(weights if draw.random() < 0.3 else files)
        note.append(mutate.any_file(draw, path))
    if kind != "trained" and draw.random() < 0.08:
        note.append(with_code(folder))
    argv = ["eval", f"checkpoint={target}", "cards=[lambada]", "cards_from=sample", "limit=2", "bootstrap=100"]
    other = draw.random()
    if other < 0.12:
        argv = ["sample", f"checkpoint={target}", "prompt=The cat", "max_new_tokens=4"]
    elif other < 0.2 and kind == "trained":
        argv = ["export", f"checkpoint={target}", "out=exported"]
    writes = (*SCORES, "exported*", "outputs/single/*/evals/*", "outputs/single/results.csv", "m/evals*")
    return Attempt(argv, f"{kind}: {'; '.join(note)}", writes)


def as_pickle(draw: random.Random, folder: Path) -> str:
    """The weights as pytorch_model.bin, of which a tensor is another kind of thing."""
    import torch
    from safetensors.torch import load_file

    (path,) = folder.glob("*.safetensors")
    weights: dict[str, object] = dict(load_file(path))
    path.unlink()
    name = draw.choice(sorted(weights))
    tensor = weights[name]
    assert isinstance(tensor, torch.Tensor)
    kinds = {
        "sparse": lambda: tensor.to_sparse(),
        "quantised": lambda: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
        "meta": lambda: tensor.to("meta"),
        "complex": lambda: tensor.to(torch.complex64),
        "a list": lambda: tensor.tolist(),
        "a string": lambda: "x",
        "None": lambda: None,
        "a view": lambda: tensor.flatten()[:1].expand(tensor.shape),
        "int8": lambda: tensor.to(torch.int8),
        "itself": lambda: tensor,
    }
    kind = draw.choice(sorted(kinds))
    weights[name] = kinds[kind]()
    content: object = weights
    if draw.random() < 0.2:
        content = draw.choice([[weights], {"model": weights}, list(weights), None, {1: weights[name]}])
        kind += " in a strange pickle"
    torch.save(content, folder / "pytorch_model.bin")
    return f"pytorch_model.bin: {name} is {kind}"


def as_shards(draw: random.Random, folder: Path) -> str:
    """The weights in two shards with an index, which is then damaged."""
    import json

    from safetensors.torch import load_file, save_file

    (path,) = folder.glob("*.safetensors")
    weights = load_file(path)
    path.unlink()
    names = sorted(weights)
    shards = {name: f"part{1 + index % 2}.safetensors" for index, name in enumerate(names)}
    for shard in set(shards.values()):
        save_file({name: weights[name] for name in names if shards[name] == shard}, folder / shard)
    index: dict = {"metadata": {"total_size": 1}, "weight_map": shards}
    place = folder / "model.safetensors.index.json"
    place.write_text(json.dumps(index))
    if draw.random() < 0.15:
        return "two shards"
    if draw.random() < 0.5:
        shards[draw.choice(names)] = new = draw.choice(
            ["../x.safetensors", "/etc/passwd", "", "nowhere", "part2.safetensors"]
        )
        place.write_text(json.dumps(index))
        return f"two shards: a tensor is in {new!r}"
    return "two shards: " + mutate.any_file(draw, place)


def with_code(folder: Path) -> str:
    """Code of the model's own, which must never run."""
    import json

    config = folder / "config.json"
    (folder / "own.py").write_text("open('RAN', 'w')\nclass Own: pass\n")
    try:
        content = json.loads(config.read_text())
        content["auto_map"] = {name: "own.Own" for name in ("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer")}
        content["model_type"] = "own"
        config.write_text(json.dumps(content))
    except (OSError, ValueError, TypeError):
        return "own.py"
    return "with code of its own"


def tokenizers(draw: random.Random, seed: Path, work: Path) -> Attempt:
    """A model's folder, or a run's tokenizer, with damaged tokenizer files."""
    kind = draw.choices(["gpt2", "llama", "corpus"], [5, 4, 2])[0]
    if kind == "corpus":
        folder = seeds.copy(seed / "gpt2", work / "m")
        seeds.copy(seed / "trained" / "texts", work / "texts")
    else:
        folder = seeds.copy(seed / kind, work / "m")
    files = [
        path for path in mutate.files_below(folder) if path.name.startswith(("vocab", "merges", "token", "special"))
    ]
    if kind == "gpt2" and draw.random() < 0.5:
        note = "tokenizer.json alone: " if as_tokenizer_json(folder) else ""
        files = [path for path in files if path.exists()] + [folder / "tokenizer.json"]
    else:
        note = ""
    for _ in range(draw.choice([1, 1, 2])):
        files = [path for path in files if path.is_file() and not path.is_symlink()]
        if files:
            note += mutate.any_file(draw, draw.choice(files)) + "; "
    if draw.random() < 0.1:
        note += with_code(folder)
    if kind == "corpus":
        argv = ["data", "data=files", "data.path=texts", "tokenizer=gpt2", "tokenizer.path=m", "data.val_fraction=0.3"]
    elif draw.random() < 0.75:
        argv = ["eval", "checkpoint=m", "cards=[lambada]", "cards_from=sample", "limit=2", "bootstrap=100"]
        argv += draw.choice([[], [], ["protocol=lm-eval"]])
    else:
        argv = ["sample", "checkpoint=m", "prompt=The cat", "max_new_tokens=3"]
    return Attempt(argv, f"{kind}: {note}", (*SCORES, "outputs/corpora*", "m/evals*"))


def as_tokenizer_json(folder: Path) -> bool:
    """tokenizer.json in place of vocab.json and merges.txt."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    tokenizer = Tokenizer(models.BPE.from_file(str(vocab), str(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    vocab.unlink()
    merges.unlink()
    return True


def cards(draw: random.Random, seed: Path, work: Path) -> Attempt:
    """A card of one's own with a damaged field, or damaged rows."""
    import shutil

    import yaml

    import zeroscale

    root = Path(zeroscale.__file__).parent.parent.parent / "evals"
    name = draw.choice(
        ["lambada", "wsc273", "cbt_cn", "coqa", "wikitext2", "wmt14_en_fr", "natural_questions", "cnn_dailymail"]
    )
    folder = work / "cards"
    (folder / "samples").mkdir(parents=True)
    card = Path(shutil.copy(root / f"{name}.yaml", folder / "mine.yaml"))
    card.write_text(card.read_text().replace(f"name: {name}\n", "name: mine\n", 1))
    sample = yaml.safe_load(card.read_text(encoding="utf-8"))["sources"]["sample"]
    rows = Path(shutil.copy(root / sample, folder / sample))
    seeds.copy(seed / "gpt2", work / "m")
    note = mutate.any_file(draw, card if draw.random() < 0.6 else rows)
    argv = ["eval", "checkpoint=m", "cards=[cards/mine.yaml]", "cards_from=sample", "limit=2", "bootstrap=100"]
    if draw.random() < 0.12:
        argv.append("protocol=lm-eval")
    elif draw.random() < 0.1:
        argv = ["overlap", "corpus=cards/samples", "cards=[cards/mine.yaml]", "cards_from=sample", "workers=1"]
    return Attempt(argv, f"{name}: {note}", (*SCORES, "outputs/overlap*"))
