"""docs/benchmarks-of-the-paper.md, made of the cards: what the paper says, what is assumed, what others measured.

python -m zeroscale.eval.cards.docs_page > docs/benchmarks-of-the-paper.md
"""

import sys
from collections.abc import Iterable, Sequence

from zeroscale.core.tables import Table
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards.card import SIZES, Card
from zeroscale.eval.cards.schema import Choice, Fingerprint

COMMAND = "python -m zeroscale.eval.cards.docs_page > docs/benchmarks-of-the-paper.md"

_HEAD = f"""\
# The benchmarks of the paper

"The paper" is Radford et al. 2019, *Language models are unsupervised multitask learners*. For each of its benchmarks
this page tells what the paper says of the protocol, what it leaves open and is assumed here, and what others measured
with the released weights. All of it stands in the cards, `evals/*.yaml`, and nowhere else; this page is made of them:

```
$ {COMMAND}
```

A choice that the paper does not settle says *assumed*, and every result lists those it was made with. Where the
reproductions differ from the paper, the paper's exact preprocessing is not public: both stand beside our score, and
neither is a target to tune towards. The paper's sizes are 117M, 345M, 762M and 1542M there; counted with all weights
the released models have 124M, 355M, 774M and 1558M parameters.

`zeroscale eval checkpoint=… cards=paper data_dir=DIR` scores them all: each from its own released files, in a folder of
DIR or in DIR itself. Data that are not what a card pins (a part, another version) are refused; with
`allow_other_data=true` they are scored and the result says what they are.
"""


def page() -> str:
    """The whole page."""
    suite = cards.resolve(["paper"])
    return "\n".join([_HEAD, *_contents(suite), *(line for card in suite for line in _section(card))]).rstrip() + "\n"


def _contents(suite: Sequence[Card]) -> Iterable[str]:
    rows = []
    for card in suite:
        numbers = [
            f"{entry.metric} {_number(entry.xl)}"
            for entry in card.paper
            if entry.xl is not None and not entry.metric.startswith("no_hint")
        ]
        assumed = sum(choice.assumed for choice in card.protocols["paper"].values())
        of = len(card.protocols["paper"])
        rows.append([f"[{card.name}](#{card.name})", card.title, ", ".join(numbers), f"{assumed} of {of}"])
    yield _table(["card", "benchmark", "the paper's largest model", "choices assumed"], rows)
    yield ""


def _section(card: Card) -> Iterable[str]:
    yield from (f"## {card.name}", "", f"**{card.title}.** {card.measures.strip()}", "")
    yield from _data(card)
    for protocol, choices in card.protocols.items():
        yield from _protocol(protocol, choices)
    yield from _metrics(card)
    yield from _numbers(card)
    yield from (f"Licence: {card.licence}. Citation: {card.citation}", "")


def _data(card: Card) -> Iterable[str]:
    if files := card.sources.files:
        names = " or ".join(" with ".join(f"`{name}`" for name in alternative) for alternative in files.names)
        yield f"- Files: {names}, in `{files.directory}/`; {_pin(files.pin)}"
        for excerpt in files.excerpts:
            yield f"- Not the benchmark: {', '.join(f'`{name}`' for name in excerpt.names)}, {excerpt.what}"
        for alternative in files.pool:
            names = " with ".join(f"`{name}`" for name in alternative)
            yield f"- Examples in the prompt: from {names} where it is there"
    if hub := card.sources.hub:
        pool = f"; examples in the prompt from split {hub.pool_split}" if hub.pool_split else ""
        yield f"- Hub: `{hub.id}`, configuration {hub.config}, split {hub.split}{pool}; {_pin(hub.pin)}"
    yield ""


def _pin(pin: Fingerprint | None) -> str:
    if pin is None:
        return "its content is not pinned"
    content = f"content pinned, sha256 {pin.sha256[:12]}…" if pin.sha256 else "only their number is pinned"
    return f"{pin.rows:,} {pin.called}, {content}"


def _protocol(protocol: str, choices: dict[str, Choice]) -> Iterable[str]:
    about = "the paper's" if protocol == "paper" else "lm-evaluation-harness 0.4.13's"
    yield from (f"`protocol: {protocol}`, {about}:", "")
    rows = [[f"`{name}`", f"`{_shown(choice.value)}`", _marked(choice)] for name, choice in choices.items()]
    yield _table(["choice", "value", "why" if protocol == "lm-eval" else "the paper's words, or assumed"], rows)
    yield ""


def _marked(choice: Choice) -> str:
    return f"*assumed*{choice.says.removeprefix('assumed')}" if choice.assumed else choice.says


def _metrics(card: Card) -> Iterable[str]:
    rows = [
        [f"`{name}`", f"{metric.direction} is better", _number(metric.chance), metric.meaning]
        for name, metric in card.metrics.items()
    ]
    yield _table(["metric", "", "chance", "what it is"], rows)
    yield ""


def _numbers(card: Card) -> Iterable[str]:
    """The paper's numbers, then the reproductions."""
    if any(entry.no_model is not None for entry in card.paper):
        columns: tuple[str, ...] = (*SIZES, "no_model")
    else:
        columns = SIZES
    rows = [
        [f"`{entry.metric}`", *(_number(getattr(entry, size)) for size in columns), entry.source]
        for entry in card.paper
    ]
    if rows:
        yield _table(["the paper", *(name.replace("_", " ") for name in columns), "where"], rows)
        yield ""
    rows = [
        [f"`{row.metric}`", row.size.replace("_", " "), _number(row.value), row.how, row.source]
        for row in card.reproductions
    ]
    if rows:
        yield _table(["others", "size", "value", "how", "where"], rows)
    else:
        yield "No measurement of others with the released weights is known to this project."
    yield ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _shown(value: object) -> str:
    """A value as YAML has it, in one line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return (
        repr(value).replace("'", '"') if isinstance(value, str) and (not value.strip() or "\n" in value) else str(value)
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return Table.of_texts(head, [[text.replace("\n", "⏎") for text in row] for row in rows]).markdown_of_markup()


if __name__ == "__main__":
    sys.stdout.write(page())
