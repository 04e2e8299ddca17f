"""A made-up study for the report's tests, laid out as real ones are: four sizes along a known law, one failed run."""

import json
import math
import random
from pathlib import Path

SIZES = {"pocket-xs": 25_600, "pocket-s": 102_400, "pocket-m": 409_600, "pocket-l": 1_638_400}
CARDS = {
    "cbt_cn": {"acc": (0.1, "up")},
    "coqa": {"f1": (0.0, "up"), "em": (0.0, "up")},
    "cnn_dailymail": {
        f"{baseline}{name}": (None, "up")
        for baseline in ("", "no_hint_", "lede_3_", "random_3_")
        for name in ("rouge1", "rouge2", "rougeL", "rouge_mean")
    },
    "lambada": {"perplexity": (None, "down")}
    | {name: (0.0, "up") for name in ("acc", "acc_stop_words", "acc_last_token")},
    "wikitext2": {
        "word_perplexity": (None, "down"),
        "token_perplexity": (None, "down"),
        "byte_perplexity": (256.0, "down"),
        "bits_per_byte": (8.0, "down"),
    },
    "wmt14_en_fr": {"bleu": (0.0, "up"), "chrf": (0.0, "up"), "ter": (None, "down")},
    "wsc273": {"acc": (0.5, "up"), "acc_full": (0.5, "up")},
    "enwik8": {
        "bits_per_character": (None, "down"),
        "bits_per_byte": (8.0, "down"),
        "token_perplexity": (None, "down"),
    },
    "natural_questions": {"acc": (0.0, "up"), "acc_most_confident": (0.0, "up")},
    "memorisation": {
        f"{name}{ending}": (None, "down") for name in ("memorised", "verbatim_tokens") for ending in ("", "_held_out")
    },
}
FAMILIES = {
    "cbt_cn": "multiple_choice",
    "coqa": "conversation",
    "cnn_dailymail": "summary",
    "lambada": "cloze_word",
    "wikitext2": "stream",
    "wmt14_en_fr": "translation",
    "wsc273": "pronoun",
    "enwik8": "characters",
    "natural_questions": "question_answer",
    "memorisation": "memorisation",
}
N_BASELINES = 12
"""Metrics that are lines in others' panels: a summary's without the hint, lede-3's and random-3's."""
N_PANELS = sum(map(len, CARDS.values())) - N_BASELINES + 3
"""Metrics of all cards that have a panel of their own, the held-out text's three among them."""
TOKENS, BATCH = 2_048_000, 4_096
HOSTILE = '<script>window.hacked = 1</script><img src=x onerror="window.hacked=1"></script> \u2028 $x$ %{y}'


def loss_of(params: float) -> float:
    """The law behind the study, L(N) = (N_c/N)^0.09, nats per token."""
    return (4.0e11 / params) ** 0.09


def write_study(
    directory: Path,
    names: dict[str, int] = SIZES,
    n_steps: int = TOKENS // BATCH,
    fit: bool = True,
    failed: bool = True,
    scored: bool = True,
    cell: str = "{}",
) -> Path:
    """Writes a study and returns its directory. `results.csv` is left to the ledger.

    `cell` makes a run's directory of its model's name.
    """
    for index, (name, params) in enumerate(names.items()):
        write_cell(directory / cell.format(name), name, params, index, n_steps, scored)
    if failed:
        write_failed(directory / "pocket-xl")
    if fit:
        write_json(directory / "fit.json", a_fit(directory.name, {cell.format(name): n for name, n in names.items()}))
    return directory


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def settings(study: str, model: str) -> dict:
    return {
        "study": study,
        "seed": 1,
        "model": {"name": model, "n_layer": 2, "d_model": 64, "n_head": 2, "n_positions": 128},
        "tokenizer": {"kind": "bpe"},
        "data": {"name": "stdlib"},
        "trainer": {"tokens": TOKENS, "batch_tokens": BATCH},
        "cards": list(CARDS),
        "cards_from": "sample",
    }


def manifest(study: str, index: int, params: int) -> dict:
    return {
        "settings_hash": f"{index:x}" * 64,
        "command": f"zeroscale train +sweeps={study}",
        "source": {"revision": "0123456789abcdef" * 2, "dirty": False},
        "packages": {"torch": "2.13.0", "pytorch-lightning": "2.6.6", "numpy": "2.4.0"},
        "hardware": {"cpu": "Example CPU @ 2.80GHz", "cores": 2, "gpu": None, "memory_bytes": 8 << 30},
        "threads": 1,
        "seed": 1,
        "corpus": {"name": "stdlib", "fingerprint": "c0ffee" * 10, "n_train_tokens": 3_100_000, "n_val_tokens": 65_536},
        "tokenizer": {"fingerprint": "badc0de" * 9, "vocab_size": 4096},
        "params": {"total": params + 270_336, "non_embedding": params, "matmul": params + 262_144},
        "flops_per_token": 6.0 * (params + 262_144),
        "peak_memory_bytes": 700 * 2**20 + 40 * params,
        "train_seconds": 22.0 + params / 25_000,
    }


def write_cell(folder: Path, name: str, params: int, index: int, n_steps: int, scored: bool) -> None:
    noise = random.Random(index)
    record = manifest(folder.parent.name, index, params)
    write_json(folder / "config.yaml", settings(folder.parent.name, name))  # JSON is YAML
    write_json(folder / "manifest.json", record)
    write_json(folder / "status.json", {"state": "done", "reason": "", "step": n_steps, "time": "2026-01-01T00:00:00Z"})
    final = loss_of(params)
    lines = []
    for step in range(1, n_steps + 1):
        start = 8.3 * math.exp(-step / 18) if n_steps > 40 else 2.0
        loss = final + start * (1 - final / 8.3) + 0.9 * (step**-0.3 - n_steps**-0.3) + noise.gauss(0, 0.05)
        tokens = step * BATCH
        row = {"step": step, "tokens": tokens, "flops": tokens * record["flops_per_token"], "seconds": step * 0.05}
        row |= {
            "train/loss": loss,
            "lr": 1e-3,
            "grad_norm": 1.0,
            "tokens_per_s": 9.0e4 / (1 + params / 2e5),
            "mfu": None,
        }
        if step % max(1, n_steps // 8) == 0 or step == n_steps:
            row |= {"val/loss": final if step == n_steps else loss + 0.04, "val/bits_per_byte": final * 0.42}
        lines.append(json.dumps(row))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "checkpoints" / f"step-{n_steps:08d}").mkdir(parents=True)
    for card, metrics in CARDS.items() if scored else ():
        write_result(folder, n_steps, card, metrics, params, noise)
    write_held_out(folder, n_steps, final)
    (folder / "DONE").write_text("", encoding="utf-8")


def write_held_out(folder: Path, step: int, loss: float) -> None:
    values = {"loss": loss, "word_perplexity": math.exp(2.1 * loss), "bits_per_byte": 0.42 * loss}
    metrics = {
        name: {"value": v, "low": 0.985 * v, "high": 1.015 * v, "n": 512, "higher_is_better": False, "chance": None}
        for name, v in values.items()
    }
    path = folder / f"evals/step-{step:08d}/held_out.corpus.json"
    write_json(
        path,
        {"card": "held_out", "protocol": "corpus", "source": "corpus", "is_sample": False, "n": 512}
        | {"metrics": metrics},
    )


def write_result(folder: Path, step: int, card: str, metrics: dict, params: int, noise: random.Random) -> None:
    scores = {}
    skill = math.log10(params) / 10
    for name, (chance, direction) in metrics.items():
        value = (chance or 0) + skill * noise.uniform(0.3, 0.5) if direction == "up" else 10 ** (6 - 4 * skill)
        value = {"lede_3": 0.35, "random_3": 0.25}.get(name.rpartition("_rouge")[0], value)
        value = 0.05 * skill if name.startswith("memorised") else value
        value = 4 - 2 * skill if name == "bits_per_byte" else 0.0 if name == "rouge2" else value
        spread = 0.12 if value and direction == "up" else 0.3 * value
        scores[name] = {
            "value": value,
            "low": max(0.0, value - spread),
            "high": value + spread,
            "n": 12,
            "higher_is_better": direction == "up",
            "chance": chance,
        }
    result = {"card": card, "protocol": "paper", "source": "sample", "is_sample": True, "n": 12, "metrics": scores}
    result |= {"family": FAMILIES[card], "mark": "SAMPLE, no benchmark"}
    result |= {
        "card_hash": "a" * 64,
        "data_hash": "b" * 64,
        "weights_hash": "c" * 64,
        "tokenizer": "bpe",
        "seconds": 1.2,
    }
    result |= {"truncated": 0, "left_out": 0, "assumptions": [f"stop words of {card}: the list is assumed"]}
    path = folder / f"evals/step-{step:08d}/{card}.paper.json"
    write_json(path, result)
    write_examples(path.with_name(f"{card}.paper.examples.parquet"), card, noise)


def write_examples(path: Path, card: str, noise: random.Random) -> None:
    """Records in the columns of the families of `zeroscale.eval.tasks`."""
    import pyarrow
    import pyarrow.parquet

    rows = [{"id": i, "unit": i, "truncated": 0, **record(card, i, noise)} for i in range(14)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def record(card: str, i: int, noise: random.Random) -> dict:
    scores = {f"score_{metric}": noise.random() for metric in CARDS[card] if card != "memorisation"}
    if card == "natural_questions":
        scores["score_acc_most_confident"] = None  # of those that are not among the surest
    return {"content": f"{i:016x}", **outcome(card, i, noise), **scores}


def outcome(card: str, i: int, noise: random.Random) -> dict:
    passage = "The fisherman mended the long net by lamplight, and in the morning his daughter carried it down to the "
    passage += "harbour " * (90 if i == 3 else 1) + f"({card} {i})"
    said = HOSTILE if i == 0 else noise.choice(["boat", "sea", "house and the house and the"])
    generated = {"generation": f" {said}\n\n\n\n", "prediction": said}
    if card == "lambada":
        logprobs = [-noise.uniform(0.5, 6), -noise.uniform(0.5, 6)]
        right = {"right": noise.random() < 0.4, "right_stop_words": True, "right_last_token": True}
        return {
            "context": f"\n{passage}",
            "target": "boat",
            "logprob": sum(logprobs),
            "token_logprobs": logprobs,
            **right,
        }
    if card == "cbt_cn":
        candidates, chosen = [HOSTILE, "boat", "sea", "net", "lamp"], noise.choice([0, 1])
        choice = {"logprobs": [-9.0] * 5, "chosen": chosen, "wanted": 1, "prediction": candidates[chosen]}
        text = f"{passage}\nHe rowed the XXXXX home ."
        return {"text": text, "candidates": candidates, **choice, "answer": "boat", "right": chosen == 1}
    if card == "coqa":
        question = "What did he row?"
        asked = {"conversation": "c", "turn": i, "prompt": f"{passage}\nQ: {question}\nA:", "question": question}
        return {**asked, **generated, "references": ["boat", "the boat", "boat"]}
    if card == "wikitext2":
        counts = {"words": 100, "tokens": 250, "bytes": 600, "lines": 4, "lines_not_detokenised": 0}
        return {"title": f"Article {i}", "logprob": -900.0, **counts}
    if card == "wsc273":
        schema = {"text": passage, "candidates": ["the boat", HOSTILE], "wanted": 0, "answer": "the boat"}
        scores = {"logprobs": [-9.0, -8.0], "logprobs_full": [-19.0, -20.0], "token_logprobs": [[-9.0], [-8.0]]}
        return {**schema, **scores, "chosen": 1, "chosen_full": 0, "prediction": HOSTILE, "right": False}
    if card == "enwik8":
        return {"logprob": -900.0, "characters": 590, "tokens": 250, "bytes": 600}
    if card == "natural_questions":
        asked = {"prompt": f"Q: {passage}?\nA:", "question": passage, "token_logprobs": [-1.0, -2.0]}
        return {**asked, **generated, "references": ["boat"], "confidence": math.exp(-3.0), "right": False}
    if card == "memorisation":
        asked = {"group": "training", "occurrences": 1 + i, "prompt": passage, "reference": "and home again"}
        return {**asked, "logprob": -60.0, "verbatim_tokens": i, "right": i == 13}
    if card == "cnn_dailymail":
        no_hint = {"generation_no_hint": " the sea\n", "prediction_no_hint": "the sea"}
        baselines = {"lede_3": passage, "random_3": passage}
        return {"name": str(i), "article": passage, **generated, **no_hint, **baselines, "reference": "le bateau"}
    return {"prompt": f"{passage} =", **generated, "reference": "le bateau"}


def write_failed(folder: Path) -> None:
    write_json(folder / "config.yaml", settings(folder.parent.name, "pocket-xl"))
    write_json(folder / "manifest.json", manifest(folder.parent.name, 9, 6_553_600))
    reason = "the loss is not finite at step 3 (nan): lower optimizer.learning_rate"
    write_json(folder / "status.json", {"state": "failed", "reason": reason, "step": 3, "time": "2026-01-01T00:01:00Z"})
    lines = ['{"step": 1, "tokens": 4096, "train/loss": 8.4, "seconds": 0.1, "flops": 1e9}']
    lines.append('{"step": 2, "tokens": 8192, "train/loss": NaN, "seconds": 0.2, "flops": 2e9}')
    (folder / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 3, "tok', encoding="utf-8")
    progress = "pocket-xl  step 1/500  loss 8.4\rpocket-xl  step 2/500  loss nan\n"
    (folder / "log.txt").write_text(f"{progress}\x1b[31m{reason}\x1b[0m\n", encoding="utf-8")


def a_fit(study: str, names: dict[str, int]) -> dict:
    """What `zeroscale fit` writes, around the law behind the study."""
    sizes = sorted(names.values())
    grid = [sizes[0] * 0.7 * (sizes[-1] / sizes[0] * 2) ** (i / 40) for i in range(41)]
    band = [{"params": n, "low": 0.985 * loss_of(n), "value": loss_of(n), "high": 1.015 * loss_of(n)} for n in grid]
    measured = loss_of(sizes[-1])
    law = {
        "form": "L(N) = (N_c/N)^alpha",
        "parameters": {
            "alpha": {"value": 0.09, "low": 0.081, "high": 0.099},
            "N_c": {"value": 4.0e11, "low": 8.0e10, "high": 3.0e12},
        },
        "objective": 1e-5,
        "n_points": len(sizes),
        "points": [{"cell": name, "params_non_embedding": n, "loss": loss_of(n)} for name, n in names.items()],
        "band": band,
        "hold_out": {"params": sizes[-1], "measured": measured, "predicted": 1.012 * measured, "error": 0.012}
        | {
            "low": 0.98 * measured,
            "high": 1.05 * measured,
            "inside": True,
            "form": "L(N) = (N_c/N)^alpha",
            "n_points": 3,
        },
        "warnings": ["Four sizes cannot carry an irreducible term: the law goes without E, so it promises too much."],
    }
    return {"study": study, "created": "2026-01-01T00:02:00Z", "laws": {"val/loss": law}}
