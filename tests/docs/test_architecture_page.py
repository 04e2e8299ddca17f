"""docs/architecture.md draws the imports between the rooms as they are."""

import ast
import re
from pathlib import Path

import zeroscale

SOURCE = Path(zeroscale.__file__).parent
PAGE = (SOURCE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {path.name for path in SOURCE.iterdir() if any(path.glob("*.py"))}
Graph = dict[str, set[str]]


def imported() -> Graph:
    """The rooms that each room imports anywhere, itself left out."""
    graph: Graph = {room: set() for room in ROOMS}
    for path in (path for room in ROOMS for path in (SOURCE / room).rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            parts = [module.split(".") for module in modules]
            graph[room] |= {part[1] for part in parts if part[0] == "zeroscale" and part[1:] and part[1] in ROOMS}
        graph[room].discard(room)
    return graph


def drawn() -> Graph:
    """The arrows of the Mermaid drawing."""
    (drawing,) = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert set(re.findall(r"^ +(\w+)\[", drawing, re.MULTILINE)) == ROOMS
    graph: Graph = {room: set() for room in ROOMS}
    for start, end in re.findall(r"^ +(\w+) --(?: \".*\" --)?> (\w+)$", drawing, re.MULTILINE):
        graph[start].add(end)
    assert sum(map(len, graph.values())) == drawing.count("-->")
    return graph


def reachable(graph: Graph, room: str) -> set[str]:
    """Every room that arrows lead to from this one."""
    rooms = set(graph[room])
    for further in graph[room]:
        rooms |= reachable(graph, further)
    return rooms


def test_each_arrow_is_an_import_and_follows_from_no_others():
    actual, arrows = imported(), drawn()
    for room, targets in arrows.items():
        assert targets <= actual[room], f"{room}: drawn, but not imported: {targets - actual[room]}"
        for target in targets:
            others = {further for other in targets - {target} for further in reachable(arrows, other)}
            assert target not in others, f"{room} --> {target} follows from other arrows"


def test_each_import_is_an_arrow_or_follows_from_arrows():
    arrows = drawn()
    for room, targets in imported().items():
        assert targets <= reachable(arrows, room), f"{room}: not drawn: {targets - reachable(arrows, room)}"


def test_the_order_in_words_is_the_order_of_the_drawing():
    (line,) = [line for line in PAGE.splitlines() if line.startswith("`core → ")]
    order = line.strip("`").split(" → ")
    assert set(order) == ROOMS
    for room, targets in drawn().items():
        assert all(order.index(target) < order.index(room) for target in targets)
