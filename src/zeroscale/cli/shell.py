"""`-sc install=SHELL`: completion in the shell, and the answers to what the shell asks."""

import os
from collections.abc import Sequence

from zeroscale.cli import help
from zeroscale.cli.commands import COMMANDS
from zeroscale.cli.composing.inspect import complete
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.own import folder


def run(arguments: Sequence[str]) -> int:
    """`install=`, `uninstall=` or `query=` of bash, zsh or fish; returns the exit code.

    Raises:
        ZeroscaleError: it is none of these.
    """
    from zeroscale.cli.composing.completion import SCRIPTS, UNINSTALL

    action, _, shell = next((word for word in arguments if "=" in word), "").partition("=")
    if shell not in SCRIPTS or action not in ("install", "uninstall", "query"):
        raise ZeroscaleError(
            'completion: eval "$(zeroscale -sc install=bash)" in bash, the same with zsh in zsh, zeroscale -sc '
            "install=fish | source in fish; uninstall= takes it back"
        )
    if action == "query":
        print("\n".join(answers(os.environ.get("COMP_LINE", ""))))
    else:
        print((SCRIPTS if action == "install" else UNINSTALL)[shell], end="")
    return 0


def answers(line: str) -> list[str]:
    """What can stand at the end of a command line."""
    words = line.split(" ")[1:]
    commands = [*COMMANDS, *help.OTHERS]
    if words and words[0] == "show":
        words, commands = words[1:], [*COMMANDS]
    if len(words) <= 1:
        return [name for name in commands if name.startswith(words[0] if words else "")]
    command, *rest = words
    if command not in COMMANDS:
        return []
    last = rest[-1]
    if last.startswith("+sweeps="):
        return [f"+sweeps={name}" for name in folder.choices("sweeps") if f"+sweeps={name}".startswith(last)]
    return complete(command, " ".join(rest))
