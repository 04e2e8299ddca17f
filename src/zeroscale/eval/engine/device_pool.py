"""Several devices as one engine: each has a process with the model, and a share of every lot of requests.

Tasks, journal and results stay in the one process that asks; they do not know how many devices answer.
"""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.machine import thread_refusal
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.backend import Progress
from zeroscale.eval.engine.cost import Usage
from zeroscale.eval.engine.engine import Engine
from zeroscale.model.threads import use_threads

if TYPE_CHECKING:
    from zeroscale.model.protocol import LanguageModel, TextTokenizer

# Makes the model and the tokenizer; called in each process, so it must be picklable.
Load = Callable[[], tuple["LanguageModel", "TextTokenizer"]]


class EngineOptions(TypedDict, total=False):
    """What each process makes its engine with; as `Engine`."""

    batch_tokens: int | None
    deterministic: bool


class Pool:
    """An `Engine` over several processes, on cuda:0, cuda:1, … or on as many parts of the CPU.

    Args:
        threads: CPU threads of each process. With `deterministic` answers are those of one `Engine` with as many, to
            the bit.

    Raises:
        ZeroscaleError: from `run`, when a process is lost or fails; what was answered before is the caller's to keep.
    """

    def __init__(self, load: Load, devices: list[str], threads: int, **options: Unpack[EngineOptions]) -> None:
        context = multiprocessing.get_context("spawn")
        self.usage = Usage()
        self._lost = ""
        self.deterministic = bool(options.get("deterministic", False))
        self.devices, self.threads = len(devices), threads
        self._lines: list[Connection] = []
        self._processes = []
        for device in devices:
            line, remote_end = context.Pipe()
            process = context.Process(target=_serve, args=(remote_end, load, device, threads, options), daemon=True)
            process.start()
            remote_end.close()
            self._lines.append(line)
            self._processes.append(process)
        replies = [self._receive(number) for number in range(len(devices))]
        if faults := [content for kind, content in replies if kind == "fault"]:
            self.close()
            raise ZeroscaleError(faults[0])
        self.n_positions, self.batch_tokens, self.fixed_threads, self.tokenizer = replies[0][1]

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes."""
        for line in self._lines:
            line.close()
        for process in self._processes:
            process.terminate()
            process.join()

    def run(self, requests: Sequence[rq.Request], progress: Progress | None = None) -> list[rq.Answer]:
        """As `Engine.run`. Where one device finds a fault the others finish their shares first: the next lot begins
        with all of them idle. A lost process is the end of the pool."""
        if self._lost:
            raise ZeroscaleError(self._lost)
        parts = split(requests, len(self._lines))
        for number, part in enumerate(parts):
            self._send(number, [requests[index] for index in part])
        answers: dict[int, rq.Answer] = {}
        faults: list[str] = []
        done = [(0, len(part)) for part in parts]
        seconds = 0.0
        waiting = dict(enumerate(self._lines))
        while waiting:
            ready = wait(list(waiting.values()))
            for number in [number for number, line in waiting.items() if line in ready]:
                kind, content = self._receive(number)
                if kind == "progress":
                    done[number] = content
                    if progress:
                        progress(*map(sum, zip(*done, strict=True)))
                    continue
                del waiting[number]
                if kind == "fault":
                    faults.append(content)
                    continue
                given, spent = content
                answers |= dict(zip(parts[number], given, strict=True))
                seconds = max(seconds, spent.seconds)
                self.usage = self.usage.add(replace(spent, seconds=0.0))
        self.usage = self.usage.add(Usage(seconds=seconds))
        if faults:
            raise ZeroscaleError(faults[0])
        return [answers[index] for index in range(len(requests))]

    def _send(self, number: int, content: list[rq.Request]) -> None:
        try:
            self._lines[number].send(content)
        except (OSError, ValueError) as error:
            raise self._gone(number) from error

    def _receive(self, number: int) -> tuple[str, Any]:
        try:
            return self._lines[number].recv()
        except (EOFError, OSError) as error:
            raise self._gone(number) from error

    def _gone(self, number: int) -> ZeroscaleError:
        self._processes[number].join(timeout=5)
        code = self._processes[number].exitcode
        self._lost = (
            f"the process of device {number} is lost (exit code {code}); what was answered before is kept, and the "
            "same command goes on from there"
        )
        return ZeroscaleError(self._lost)


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
    if isinstance(request, rq.LogLikelihood):
        return request.context + request.target
    return request.prompt if isinstance(request, rq.GenerateUntil) else request.tokens


def _cost(request: rq.Request) -> int:
    # A new token costs about as much as three that are read: steps of few rows are bound by reading the weights.
    return len(_tokens(request)) + (3 * request.max_new_tokens if isinstance(request, rq.GenerateUntil) else 0)


def _serve(line: Connection, load: Load, device: str, threads: int, options: EngineOptions) -> None:
    """Runs in a device's process: loads the model, then answers lists of requests until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives Ctrl-C too, and ends this process
    try:
        use_threads(threads)
        model, tokenizer = load()
        engine = Engine(model.to(device), tokenizer, threads=threads, **options)
        line.send(("ready", (engine.n_positions, engine.batch_tokens, engine.fixed_threads, tokenizer)))
        while True:
            requests = line.recv()
            engine.usage = Usage()
            try:
                answers = engine.run(requests, lambda done, total: line.send(("progress", (done, total))))
            except Exception as error:
                line.send(("fault", _message(device, error)))
            else:
                line.send(("answers", (answers, engine.usage)))
    except (EOFError, ConnectionError):
        return  # the parent is gone
    except BaseException as error:
        if not isinstance(error, Exception) and thread_refusal(error) is None:
            raise
        line.send(("fault", _message(device, error)))


def _message(device: str, error: BaseException) -> str:
    if isinstance(error, ZeroscaleError):
        return str(error)
    if refusal := thread_refusal(error):
        return refusal
    if isinstance(error, ConnectionError):
        raise error
    traceback.print_exception(error)
    return f"device {device}: {type(error).__name__}: {error}"
