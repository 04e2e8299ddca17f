"""What is other here than where a run was made, and whether it can matter to its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]
Matters = Literal["no", "scores", "yes"]
"""Not to any number that is compared; to scores only; to training too."""

SAME_BITS = "cannot matter"
_WORDS: dict[Matters, str] = {"no": SAME_BITS, "scores": "can matter to scores", "yes": "can matter"}

# Packages by what they compute; one that is not listed is taken to matter.
_PACKAGES: dict[str, tuple[Matters, str]] = {
    "sacrebleu": ("scores", "it measures BLEU"),
    "rouge-score": ("scores", "it measures ROUGE"),
    "evaluate": ("scores", "it calls the metrics"),
    "datasets": ("scores", "it reads hub data; their content is checked by hash"),
    "hydra-core": ("no", "the settings are read as they were resolved"),
    "pydantic": ("no", "it checks settings and computes nothing"),
    "wandb": ("no", "it shows runs and computes nothing"),
    "safetensors": ("no", "it reads tensors as they are"),
}
# Rooms of the package by what they do; one that is not listed is taken to matter.
_ROOMS: dict[str, tuple[Matters, str]] = {
    "eval": ("scores", "the harness"),
    "scaling": ("no", "the laws"),
    "report": ("no", "the report"),
    "provenance": ("no", "the record and this comparison"),
    "cli": ("no", "the commands"),
}
# Manifests of version 0.1.0 name the rooms of that time: what each became. Files changed their names as well, so that
# the hashes of the two layouts say nothing of what the code computes.
_FORMER_ROOMS = {
    ".": ("config", "core", "launch", "runs", "training"),
    "commands": ("cli",),
    "harness": ("eval",),
    "overlap": ("eval",),
    "reproduce": ("provenance",),
}


@dataclass(frozen=True)
class Difference:
    """One thing that is other."""

    what: str
    recorded: str
    here: str
    matters: Matters
    why: str

    @property
    def words(self) -> str:
        return f"{self.what}: {self.recorded} there, {self.here} here: {_WORDS[self.matters]} ({self.why})"


@dataclass(frozen=True)
class Comparison:
    """What is the same, what differs, and what was not recorded."""

    same: list[str]
    different: list[Difference]
    unknown: list[str]

    @property
    def can_matter(self) -> list[Difference]:
        return [one for one in self.different if one.matters != "no"]


def compare(recorded: Json, here: Json) -> Comparison:
    """Two manifests, or what there is of them."""
    same: list[str] = []
    different: list[Difference] = []
    unknown: list[str] = []

    def put(what: str, there: Any, now: Any, matters: Matters, why: str) -> None:
        if there is None:
            unknown.extend([what] if now is not None else [])
        elif there == now:
            same.append(what)
        else:
            different.append(Difference(what, _shown(there), _shown(now), matters, why))

    _source(recorded.get("source") or {}, here["source"], same, different, unknown)
    there_packages = recorded.get("packages") or {}
    for name in sorted(there_packages.keys() | here["packages"].keys()):
        matters, why = _PACKAGES.get(name, ("yes", "another version may round in another order"))
        if name == "python":
            why = "the standard library is a corpus, and its text is another"
        if recorded.get("packages") is None:
            unknown.append(name)
        elif name in there_packages or name in here["packages"]:
            put(name, there_packages.get(name, "none"), here["packages"].get(name, "none"), matters, why)
    hardware = recorded.get("hardware")
    if hardware is None:
        unknown.append("hardware")
    else:
        _hardware(hardware, here["hardware"], put)
    put("threads", recorded.get("threads"), here["threads"], "yes", "sums are split by threads")
    variables = recorded.get("variables")
    put("environment variables", variables, here["variables"], "yes", "they steer the numerical libraries")
    for what, why in (("corpus", "other tokens"), ("tokenizer", "other tokens")):
        there, now = ((side.get(what) or {}).get("fingerprint") for side in (recorded, here))
        put(what, there, now, "yes", why)
    micro = recorded.get("micro_batch_tokens")
    put("micro_batch_tokens", micro, here.get("micro_batch_tokens"), "yes", "gradients are summed in another order")
    return Comparison(same, different, unknown)


def _hardware(there: Json, here: Json, put: Any) -> None:
    chips = "another processor may take other kernels"
    put("gpu", there.get("gpu") or "none", here["gpu"] or "none", "yes", "another device rounds in another order")
    on_gpu = there.get("gpu") and here["gpu"]
    put("cpu", there.get("cpu"), here["cpu"], "no" if on_gpu else "yes", "it only feeds the GPU" if on_gpu else chips)
    put("cpu kernels", there.get("kernels"), here["kernels"], "no" if on_gpu else "yes", chips)
    put("cores", there.get("cores"), here["cores"], "no", "the number of threads is what counts")
    put("memory", there.get("memory_bytes"), here["memory_bytes"], "no", "no number depends on it")
    put("system", there.get("system"), here["system"], "yes", "its libraries may round in another order")


def _source(there: Json, here: Json, same: list[str], different: list[Difference], unknown: list[str]) -> None:
    """By the content of the rooms where both know it, so that clones and copies of one source are one; else by
    revision."""
    rooms, ours = there.get("rooms"), here.get("rooms")
    if rooms and ours:
        moved = rooms.keys() & (_FORMER_ROOMS.keys() - {"."})
        changed = sorted(room for room in rooms.keys() | ours.keys() if rooms.get(room) != ours.get(room))
        if not changed:
            same.append("source")
        elif _revision(there) != _revision(here):
            why = "its rooms have other names, which follow" if moved else "what is another in it follows, room by room"
            different.append(Difference("revision", _revision(there), _revision(here), "no", why))
        for room in _renamed(changed) if moved else changed:
            matters, why = _ROOMS.get(room, ("yes", "the code that computes"))
            name = "src/zeroscale" if room == "." else f"src/zeroscale/{room}"
            was, now = ((side.get(room) or "nothing")[:8] for side in (rooms, ours))
            if moved:
                was = "+".join(_former(room, rooms)) or "nothing"
            different.append(Difference(name, was, now, matters, why))
        return
    if not there:
        unknown.append("source")
        return
    clean = there.get("dirty") is False and here.get("dirty") is False
    if there.get("revision") and there["revision"] == here.get("revision") and clean:
        same.append("source")
    else:
        different.append(Difference("source", _revision(there), _revision(here), "yes", "the code that computes"))


def _renamed(changed: list[str]) -> list[str]:
    """The rooms of today that rooms of either layout stand for."""
    return sorted({new for room in changed for new in _FORMER_ROOMS.get(room, (room,))})


def _former(room: str, rooms: Mapping[str, str]) -> list[str]:
    """What a room of today was in a manifest of the former layout: names with hashes."""
    former = sorted({room, *(old for old, new in _FORMER_ROOMS.items() if room in new)})
    return [f"{old}@{rooms[old][:8]}" for old in former if old in rooms]


def _revision(source: Mapping[str, Any]) -> str:
    name = (source.get("revision") or "")[:12] or f"version {source.get('version', 'unknown')}"
    return name + (" with uncommitted changes" if source.get("dirty") else "")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= 40 or " " in text else f"{text[:12]}…"
