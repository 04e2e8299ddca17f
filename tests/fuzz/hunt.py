"""Hunts without pytest: `python tests/fuzz/hunt.py KIND SECONDS [SEED]`; findings go to stdout as they come."""

import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from fuzz import corpus_kinds, csv_kinds, hunter, model_kinds, override_kinds, record_kinds, seeds
from fuzz.runner import Runner

MODULES = (model_kinds, override_kinds, corpus_kinds, csv_kinds, record_kinds)


def main() -> None:
    names, seconds = sys.argv[1].split(","), float(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else time.time_ns() % 10**6
    folder = Path(os.environ.get("ZEROSCALE_FUZZ_SEEDS", "/tmp/zeroscale-fuzz-seeds"))
    if not (folder / "made").exists():
        folder.mkdir(parents=True)
        seeds.fill(folder)
        (folder / "made").touch()
    runner = Runner()
    attempts = hunter.Hunter(runner, folder)
    builds = {name: value for module in MODULES for name, value in vars(module).items()}
    hunts = [hunter.Hunt(name, seed) for name in names]
    end = time.monotonic() + seconds
    told = time.monotonic()
    while time.monotonic() < end:
        if time.monotonic() > told + 60:
            told = time.monotonic()
            print(*(f"{hunt.kind} {hunt.count} ({len(hunt.found)} found)" for hunt in hunts), sep=", ", flush=True)
        for hunt in hunts:
            known = set(hunt.found)
            started = time.monotonic()
            try:
                hunt.note(hunt.count, attempts.attempt(builds[hunt.kind], hunt.kind, seed, hunt.count))
            except Exception:  # a fault of the fuzzer's own: told, and the hunt goes on
                traceback.print_exc()
                hunt.count += 1
            if time.monotonic() - started > 15:
                print(f"slow: {hunt.kind}:{hunt.count - 1}, {time.monotonic() - started:.0f} s", flush=True)
            for key in hunt.found.keys() - known:
                print("=" * 100, hunt.found[key], sep="\n", flush=True)
    for hunt in hunts:
        print(hunt.summary(), f"{hunt.seconds / max(1, hunt.count):.2f} s each", flush=True)
    runner.close()


if __name__ == "__main__":
    main()
