"""Several devices as one engine: each has a process with the model, and a share of every lot of requests.

Tasks, journal and results stay in the one process that asks; they do not know how many devices answer.
"""

import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from zeroscale.errors import ZeroscaleError
from zeroscale.harness import requests as rq
from zeroscale.harness.engine import Cost, Engine, Progress

# Makes the model and the tokenizer; called in each process, so it must be picklable.
Load = Callable[[], tuple[Any, Any]]


class Pool:
    """An `Engine` over several processes, on cuda:0, cuda:1, … or on as many parts of the CPU.

    Raises:
        ZeroscaleError: from `run`, when a process is lost or fails; what was answered before is the caller's to keep.
    """

    def __init__(self, load: Load, devices: list[str], threads: int, **options: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.cost = Cost()
        self.deterministic = bool(options.get("deterministic", False))
        self._lines: list[Connection] = []
        self._processes = []
        for device in devices:
            line, other = context.Pipe()
            process = context.Process(target=_serve, args=(other, load, device, threads, options), daemon=True)
            process.start()
            other.close()
            self._lines.append(line)
            self._processes.append(process)
        told = [self._told(number) for number in range(len(devices))]
        self.n_positions, self.batch_tokens, self.tokenizer = told[0]

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines:
            line.close()
        for process in self._processes:
            process.terminate()
            process.join()

    def run(self, requests: Sequence[rq.Request], progress: Progress | None = None) -> list[rq.Answer]:
        """As `Engine.run`."""
        parts = split(requests, len(self._lines))
        for line, part in zip(self._lines, parts, strict=True):
            line.send([requests[index] for index in part])
        answers: dict[int, rq.Answer] = {}
        seconds = 0.0
        waiting = dict(enumerate(self._lines))
        while waiting:
            ready = wait(list(waiting.values()))
            for number in [number for number, line in waiting.items() if line in ready]:
                del waiting[number]
                given, spent = self._told(number)
                answers |= dict(zip(parts[number], given, strict=True))
                seconds = max(seconds, spent.seconds)
                more = {name: getattr(self.cost, name) + value for name, value in asdict(spent).items()}
                self.cost = replace(self.cost, **{**more, "seconds": self.cost.seconds})
                if progress:
                    progress(len(answers), len(requests))
        self.cost = replace(self.cost, seconds=self.cost.seconds + seconds)
        return [answers[index] for index in range(len(requests))]

    def _told(self, number: int) -> Any:
        try:
            kind, content = self._lines[number].recv()
        except (EOFError, ConnectionError) as error:
            self._processes[number].join(timeout=5)
            code = self._processes[number].exitcode
            raise ZeroscaleError(
                f"the process of device {number} is lost (exit code {code}); what was answered before is kept, and the "
                "same command goes on from there"
            ) from error
        if kind == "fault":
            raise ZeroscaleError(content)
        return content


def split(requests: Sequence[rq.Request], parts: int) -> list[list[int]]:
    """The numbers of the requests in `parts` shares of about equal cost; what begins alike stays together."""
    keys = [_tokens(request) for request in requests]
    order = sorted(range(len(requests)), key=lambda index: keys[index])
    costs = [_cost(requests[index]) for index in order]
    total, done = sum(costs), 0
    shares: list[list[int]] = [[] for _ in range(parts)]
    for index, cost in zip(order, costs, strict=True):
        shares[min(parts - 1, (2 * done + cost) * parts // (2 * total))].append(index)
        done += cost
    return shares


def _tokens(request: rq.Request) -> tuple[int, ...]:
    if isinstance(request, rq.Continuation):
        return request.context + request.target
    return request.prompt if isinstance(request, rq.Generation) else request.tokens


def _cost(request: rq.Request) -> int:
    # A new token costs about as much as three that are read: steps of few rows are bound by reading the weights.
    return len(_tokens(request)) + (3 * request.max_new_tokens if isinstance(request, rq.Generation) else 0)


def _serve(line: Connection, load: Load, device: str, threads: int, options: dict[str, Any]) -> None:
    """A process' life: loads, says so, answers lots of requests until nobody asks any more."""
    torch.set_num_threads(threads)
    try:
        model, tokenizer = load()
        engine = Engine(model.to(device), tokenizer, **options)
        line.send(("ready", (engine.n_positions, engine.batch_tokens, tokenizer)))
        while True:
            requests = line.recv()
            engine.cost = Cost()
            answers = engine.run(requests)
            line.send(("answers", (answers, engine.cost)))
    except (EOFError, ConnectionError):
        return  # whoever asked is gone
    except ZeroscaleError as error:
        line.send(("fault", str(error)))
    except Exception as error:
        traceback.print_exc()
        line.send(("fault", f"device {device}: {type(error).__name__}: {error}"))
