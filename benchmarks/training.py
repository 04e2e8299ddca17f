"""Training speed and memory beside a bare loop, transformers and litgpt, and beside what the machine can do.

    OMP_WAIT_POLICY=passive MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296 \
        python benchmarks/training.py                      # the table of bars, CPU: about half an hour
    python benchmarks/training.py --only loop --steps 50   # one part: loop, peers, matrix, memory
    python benchmarks/training.py --gpu                    # GPT-2 small and XL on the GPU; needs torch and this
                                                           # package alone: no Lightning, no Hydra, no datasets

The contestants of a pair take turns, so that a busy machine slows both; a ratio is the median of the turns' ratios. A
turn's first step is not counted: what it touches for the first time (AdamW's moments) belongs to no rate. All train in
fp32 and eagerly, with fused AdamW (weight decay on matrices) and clipping at 1, on the same tokens.
"""

import argparse
import gc
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from zeroscale.core import accelerators
from zeroscale.model import flops
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.runs import layout
from zeroscale.training.optimizer import optimizers

ADAMW = SimpleNamespace(name="adamw", betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
VOCABULARY = 50257
SMALL = {"n_layer": 12, "d_model": 768, "n_head": 12, "vocab_size": VOCABULARY, "n_positions": 1024}
XL = {**SMALL, "n_layer": 48, "d_model": 1600, "n_head": 25}
TINY = {"n_layer": 2, "d_model": 64, "n_head": 2, "vocab_size": 500, "n_positions": 1024}
POCKET = {"n_layer": 2, "d_model": 16, "n_head": 1, "vocab_size": 2048, "n_positions": 128}
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def batches(steps: int, rows: int, context: int, vocabulary: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Inputs and targets [rows, context], the same for every contestant."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        tokens = torch.randint(0, vocabulary, (rows, context + 1), generator=generator)
        yield tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


class Bare:
    """A bare loop: forward, backward, clip, step. `run` gives tokens per second."""

    def __init__(self, model: torch.nn.Module, loss: Loss, rows: int, context: int, vocabulary: int) -> None:
        self.model = model
        self.loss = loss
        self.batch = (rows, context, vocabulary)
        (self.optimizer,) = optimizers(model, ADAMW, lr=1e-4)  # type: ignore[arg-type]

    def run(self, steps: int) -> float:
        rows, context, _ = self.batch
        start = 0.0
        for number, (inputs, targets) in enumerate(batches(steps + 1, *self.batch)):
            if number == 1:
                start = time.perf_counter()
            self.loss(inputs, targets).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return steps * rows * context / (time.perf_counter() - start)


def ours(shape: dict[str, int], rows: int, context: int) -> Bare:
    model = GPT(GPTConfig(**shape))
    return Bare(model, model.loss, rows, context, shape["vocab_size"])


def theirs(shape: dict[str, int], rows: int, context: int) -> Bare:
    """transformers' GPT-2, its loss from its own logits."""
    import transformers

    transformers.logging.set_verbosity_error()
    names = {"n_layer": "n_layer", "d_model": "n_embd", "n_head": "n_head", "n_positions": "n_positions"}
    config = transformers.GPT2Config(
        vocab_size=shape["vocab_size"],
        **{name: shape[key] for key, name in names.items()},
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
        bos_token_id=0,
        eos_token_id=0,
    )
    model = transformers.GPT2LMHeadModel(config).train()

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = model(inputs, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return Bare(model, loss, rows, context, shape["vocab_size"])


def litgpt(shape: dict[str, int], rows: int, context: int) -> Bare | None:
    """litgpt's GPT of GPT-2's width and depth (its own positions), where it is installed."""
    try:
        from litgpt import GPT as LitGPT
        from litgpt import Config
    except ImportError:
        return None
    config = Config(
        block_size=shape["n_positions"],
        vocab_size=shape["vocab_size"],
        padded_vocab_size=shape["vocab_size"],
        n_layer=shape["n_layer"],
        n_head=shape["n_head"],
        n_embd=shape["d_model"],
        bias=True,
        mlp_class_name="GptNeoxMLP",
        gelu_approximate="tanh",
        norm_class_name="LayerNorm",
        parallel_residual=False,
    )
    model = LitGPT(config)
    # As its own pretraining does: N(0, 1) for a tied table makes gradients denormal, several times slower.
    model.apply(model._init_weights)
    model.lm_head.weight = model.transformer.wte.weight

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = model(inputs)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return Bare(model, loss, rows, context, shape["vocab_size"])


class Framework:
    """The same model as a run trains it: Lightning, a line of metrics each step, checkpoints beside training."""

    def __init__(self, shape: dict[str, int], rows: int, context: int, checkpoint_every: int) -> None:
        self.shape, self.rows, self.context, self.every = shape, rows, context, checkpoint_every

    def run(self, steps: int) -> float:
        from zeroscale.config.train import TrainConfig
        from zeroscale.core import jsonl
        from zeroscale.data.loader import Steps
        from zeroscale.training import build, callbacks, guards, throughput
        from zeroscale.training.async_writer import AsyncCheckpointWriter
        from zeroscale.training.progress_events import ProgressReporter
        from zeroscale.training.trackers.tracker import Silent
        from zeroscale.training.train import TrainingLoop

        build.quiet_libraries()
        counted, steps = steps, steps + 1
        settings = strict_settings(TrainConfig, self.shape, self.rows, self.context, steps, self.every)
        with tempfile.TemporaryDirectory() as folder:
            directory, stopwatch, writer = Path(folder), throughput.Stopwatch(), AsyncCheckpointWriter()
            metrics = jsonl.JsonlWriter(directory / layout.METRICS)
            log = callbacks.MetricsLogger(
                settings,
                stopwatch,
                writer=metrics,
                tracker=Silent(),
                progress=ProgressReporter("", steps, quiet=True),
                spikes=guards.LossSpikeDetector(),
                device_name=None,
            )
            save = callbacks.Checkpoints(
                settings, stopwatch, directory=directory, metrics=metrics, writer=writer, meta={}
            )
            # The last checkpoint is due at a run's end whatever is asked for: here it would be the only one.
            save.is_due = lambda step: step % self.every == 0  # type: ignore[method-assign]
            trainer = build.trainer(settings, directory)
            clock: list[float] = []

            def mark(module: Any, result: callbacks.StepResult) -> None:
                if result.step == 1:
                    clock.append(time.perf_counter())

            loop = TrainingLoop(stopwatch, log=log, save=save, score=mark)
            module = build.module(settings, GPT(GPTConfig(**self.shape)), loop)
            micro = batches(steps, self.rows, self.context, self.shape["vocab_size"])
            module.on_train_end = lambda: clock.append(time.perf_counter())  # type: ignore[method-assign]
            trainer.fit(module, torch.utils.data.DataLoader(Steps(micro, 1, steps), batch_size=None))
            writer.close()
            metrics.close()
        return counted * self.rows * self.context / (clock[1] - clock[0])


def strict_settings(kind: Any, shape: dict[str, int], rows: int, context: int, steps: int, every: int) -> Any:
    """A cell's settings with this shape and batch."""
    from zeroscale.config.validate import build_config

    raw = {
        "study": "benchmark",
        "seed": 0,
        "model": {"name": "benchmark", **{k: v for k, v in shape.items() if k != "vocab_size"}},
        "tokenizer": {"kind": "bpe", "vocab_size": shape["vocab_size"]},
        "data": {"kind": "stdlib", "name": "none", "val_fraction": 0.1},
        "optimizer": {
            **{"name": "adamw", "lr": 1e-4, "lr_reference_params": None, "betas": [0.9, 0.95], "eps": 1e-8},
            **{"weight_decay": 0.1, "grad_clip": 1.0},
        },
        "schedule": {"name": "constant", "warmup_tokens": 0, "final_lr_fraction": 1.0},
        "trainer": {
            **{"tokens": steps * rows * context, "batch_tokens": rows * context, "context_length": context},
            **{"micro_batch_tokens": rows * context, "accelerator": "cpu", "devices": 1, "strategy": "auto"},
            **{"precision": "fp32", "threads": None, "compile": False, "log_every": 1, "val_every": steps + 1},
            **{"val_tokens": 1, "checkpoint_every": every, "keep_checkpoints": 2, "score_every": None},
        },
        "tracker": {"name": "none"},
        "cards": [],
        "cards_from": "sample",
        "data_dir": None,
        "output_dir": "outputs",
    }
    return build_config(kind, raw)


def in_turn(first: Any, second: Any, steps: int, turns: int) -> tuple[float, float, list[float]]:
    """Median tokens per second of both, and the turns' ratios; a first turn warms up and is left out."""
    rates = [(first.run(steps), second.run(steps)) for _ in range(turns + 1)][1:]
    medians = [statistics.median(column) for column in zip(*rates, strict=True)]
    return medians[0], medians[1], [ours / other for ours, other in rates]


def show(what: str, ratios: list[float], bar: float, detail: str = "") -> None:
    middle = statistics.median(ratios)
    met = "met" if middle >= bar else "NOT met"
    spread = f" ({min(ratios):.3f} to {max(ratios):.3f})" if len(ratios) > 1 else ""
    print(f"{what:62} {middle:6.3f}{spread}  at least {bar:.2f}: {met}{detail}", flush=True)


def loop(options: argparse.Namespace) -> None:
    """Our framework beside our bare loop."""
    sizes = [("the smallest pocket size", POCKET, 8, 128, 12)]
    sizes.append(("a tiny model", TINY, 2, 64, 1) if options.tiny else ("GPT-2 small", SMALL, 2, 512, 1))
    for name, shape, rows, context, factor in sizes:
        steps = max(2, options.steps * factor)
        framework = Framework(shape, rows, context, checkpoint_every=256)
        mine, bare, ratios = in_turn(framework, ours(shape, rows, context), steps, options.turns)
        show(f"beside a bare loop, {name}", ratios, 0.97, f"; {mine:,.0f} and {bare:,.0f} tokens/s")


def peers(options: argparse.Namespace) -> None:
    """Bare loops of our model and others'."""
    shape, rows, context = (TINY, 2, 64) if options.tiny else (SMALL, 2, 512)
    for name, make, bar in (("transformers", theirs, 1.25), ("litgpt", litgpt, 1.15)):
        other = make(shape, rows, context)
        if other is None:
            print(f"beside {name}: not installed")
            continue
        mine, their, ratios = in_turn(ours(shape, rows, context), other, options.steps, options.turns)
        show(f"beside {name}, GPT-2 small's shape", ratios, bar, f"; {mine:,.1f} and {their:,.1f} tokens/s")
        del other
        gc.collect()


def matrix(options: argparse.Namespace) -> None:
    """The share of the machine's fp32 matrix rate that the model's FLOPs reach, full attention counted, at the context
    of a real run and a micro-batch of 4,096 tokens."""
    shape, rows, context = (TINY, 2, 64) if options.tiny else (SMALL, 4, 1024)
    size = 256 if options.tiny else 3072
    a, b = torch.randn(size, size), torch.randn(size, size)
    contestant, shares = ours(shape, rows, context), []
    cost = flops.flops_per_token(**shape, context=context)
    for turn in range(options.turns + 1):
        start = time.perf_counter()
        for _ in range(5):
            a @ b
        rate = 5 * 2 * size**3 / (time.perf_counter() - start)
        share = contestant.run(options.steps) * cost / rate
        if turn:
            shares.append(share)
    show(f"share of the matrix rate ({rate / 1e9:,.0f} GFLOP/s, {size}²)", shares, 0.8)


def memory(options: argparse.Namespace) -> None:
    """Peak memory above what the process has after importing."""
    peaks = {}
    for name in ("ours", "theirs"):
        command = [sys.executable, __file__, "--child", name, "--steps", "2", *(["--tiny"] if options.tiny else [])]
        peaks[name] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    share = peaks["ours"] / peaks["theirs"]
    met = "met" if share <= 0.65 else "NOT met"
    print(f"{'peak memory, share of transformers’':62} {share:6.3f}  at most 0.65: {met}", end="; ")
    print(f"{peaks['ours'] / 2**20:,.0f} and {peaks['theirs'] / 2**20:,.0f} MiB", flush=True)


def child(options: argparse.Namespace) -> None:
    if options.child == "theirs":
        import transformers.models.gpt2.modeling_gpt2  # noqa: F401 (counted as importing, not as training)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    shape, rows, context = (TINY, 2, 64) if options.tiny else (SMALL, 2, 512)
    {"ours": ours, "theirs": theirs}[options.child](shape, rows, context).run(options.steps)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)


def gpu(options: argparse.Namespace) -> None:
    """GPT-2 small and XL, context 1,024, bf16, compiled: tokens per second and MFU (full attention counted)."""
    device = torch.cuda.get_device_name()
    peak = accelerators.peak_flops(device, "bf16")
    print(f"{device}, torch {torch.__version__}, dense bf16 peak {peak and peak / 1e12} TFLOP/s")
    for name, shape, rows, bar in (
        ("small", SMALL, options.rows or 32, 400_000),
        ("XL", XL, options.rows or 8, 45_000),
    ):
        torch.cuda.reset_peak_memory_stats()
        model = GPT(GPTConfig(**{**shape, "padded_vocab_size": 50304})).cuda()
        model.hidden = torch.compile(model.hidden)
        (optimizer,) = optimizers(model, ADAMW, lr=1e-4)  # type: ignore[arg-type]
        rate = _gpu_rate(model, optimizer, rows, options.steps)
        # The rows that pad the vocabulary are the machine's business: their FLOPs are not counted.
        mfu = rate * flops.flops_per_token(**shape, context=1024) / peak if peak else None
        shown = f", MFU {100 * mfu:.1f} %" if mfu else ", no MFU (peak unknown)"
        gib = torch.cuda.max_memory_allocated() / 2**30
        print(f"GPT-2 {name}: {rate:,.0f} tokens/s (at least {bar:,}){shown}, {rows} rows, {gib:.1f} GiB", flush=True)
        del model, optimizer
        torch.cuda.empty_cache()


def _gpu_rate(model: GPT, optimizer: torch.optim.Optimizer, rows: int, steps: int) -> float:
    parameters = list(model.parameters())
    warm_up, start = 5, 0.0
    for step, (inputs, targets) in enumerate(batches(warm_up + steps, rows, 1024, VOCABULARY)):
        if step == warm_up:
            torch.cuda.synchronize()
            start = time.perf_counter()
        inputs, targets = inputs.cuda(non_blocking=True), targets.cuda(non_blocking=True)
        with torch.autocast("cuda", torch.bfloat16):
            loss = model.loss(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.synchronize()
    return steps * rows * 1024 / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["loop", "peers", "matrix", "memory"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rows", type=int, help="of a micro-batch on the GPU")
    parser.add_argument("--tiny", action="store_true", help="a tiny model in GPT-2 small's place: tries the script out")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--child", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options)
    if options.gpu:
        return gpu(options)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {options.steps} steps, {options.turns} turns")
    for part in (loop, peers, matrix, memory):
        if options.only in (None, part.__name__):
            part(options)


if __name__ == "__main__":
    main()
