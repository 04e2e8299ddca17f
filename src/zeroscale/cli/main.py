"""The command line: which command, with which overrides, and how it ends.

Nothing heavy is imported before a command needs it: `--help` answers at once.
"""

import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

from zeroscale import __version__
from zeroscale.cli import commands, help, options, slips, streams
from zeroscale.cli.commands import COMMANDS
from zeroscale.cli.compose import (
    AS_HEX,
    compose,
    launch_sweep,
    nearest,
    quote,
    quote_homes,
    read_value,
)
from zeroscale.cli.help import FILTER, FREE_TEXT, NEVER_LISTS, VERBATIM
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import escaped
from zeroscale.core.machine import thread_refusal
from zeroscale.core.own.code import place_of

if TYPE_CHECKING:
    from zeroscale.runs.where import Wanted


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code. A `ZeroscaleError` is printed as one message, without a traceback."""
    if argv is None:
        streams.begin_process()
    streams.show_every_text()
    arguments = list(sys.argv[1:] if argv is None else argv)
    # For the manifests: what the user typed, before Hydra's own overrides are added.
    # Records hold it, so that it must be UTF-8.
    command = shlex.join(["zeroscale", *arguments])
    os.environ["ZEROSCALE_COMMAND"] = re.sub("[\ud800-\udfff\0]", lambda found: escaped(found.group()), command)
    if os.environ.pop("ZEROSCALE_DIE_WITH_PARENT", ""):
        # `make study` asks for it: killing make alone must not leave a study running behind the next one.
        from zeroscale.launch.process import die_with_parent

        die_with_parent()
    try:
        code = _run(arguments)
        if (fault := streams.output_fault()) is not None:
            raise fault
        return code
    except ZeroscaleError as error:
        streams.say_error(f"zeroscale: {error}")
        return 2
    except KeyboardInterrupt:
        streams.say_error("\nzeroscale: stopped; the same command goes on where it was")
        return 130
    except Exception as error:
        return _report(error)
    except BaseException as error:
        if (refusal := thread_refusal(error)) is None:
            raise
        streams.say_error(f"zeroscale: {refusal}")
        return 2


def _report(error: Exception) -> int:
    """Says what is no user's mistake: the system's refusals, and our own faults. Returns the exit code."""
    error = streams.output_fault() or error
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone (`| head`): nothing is left to say.
        return 141
    if os.environ.get("ZEROSCALE_TRACEBACK"):
        raise error
    if isinstance(error, OSError) and error.strerror:
        streams.say_error(f"zeroscale: {error.filename or 'the system'}: {error.strerror}")
        return 2
    if refusal := thread_refusal(error):
        streams.say_error(f"zeroscale: {refusal}")
        return 2
    if place := place_of(error):
        streams.say_error(f"zeroscale: {place}: {type(error).__name__}: {error}")
        return 2
    streams.say_error(
        f"zeroscale: {type(error).__name__}: {error}\n"
        "This is a fault of zeroscale's own; ZEROSCALE_TRACEBACK=1 shows where."
    )
    return 70


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        help.print_usage()
        return 0 if arguments else 2
    if arguments[0] in ("--version", "-V"):
        print(f"zeroscale {__version__}")
        return 0
    command, *rest = arguments
    if command in ("-sc", "--shell-completion") or (command in COMMANDS and {"-sc", "--shell-completion"} & {*rest}):
        from zeroscale.cli import shell

        return shell.run(rest)
    if command == "init":
        from zeroscale.cli import init_folder

        return init_folder.run(rest)
    if command == "show":
        return _show(rest)
    if command not in COMMANDS:
        known = [*COMMANDS, *help.OTHERS]
        raise ZeroscaleError(f"there is no command {command!r}{nearest(command, known)}; see zeroscale --help")
    given = options.parse(rest)
    if given.help:
        help.print_help(command)
        return 0
    return _run_command(command, given)


def _show(arguments: list[str]) -> int:
    from zeroscale.cli import show

    given = options.parse(arguments)
    if given.help:
        print(show.HELP, end="")
        return 0
    command, *rest = given.rest or [""]
    if command not in COMMANDS:
        raise ZeroscaleError(
            f"zeroscale show takes a command first, {command!r} is none{nearest(command, COMMANDS)}; such as zeroscale "
            "show train model=pocket-s"
        )
    return show.print_settings(command, _overrides(rest, given.multirun), given.multirun, given.config_name)


def _run_command(command: str, given: options.Options) -> int:
    from zeroscale.cli import select_runs

    rest = slips.mended(command, given.rest)
    filters = {key: value for key, value in map(_filter, rest) if key}
    overrides = _overrides([argument for argument in rest if not argument.startswith(FILTER)], given.multirun)
    if filters:
        select_runs.check(command, filters)
    if given.cfg or given.info:
        from zeroscale.cli.composing import inspect

        name = given.config_name or command
        if given.info:
            inspect.print_info(name, overrides, given.info)
        else:
            inspect.print_composed(name, overrides, given.cfg or "job", given.package, given.resolve)
        return 0
    jobs = compose(command, overrides, given.multirun, given.config_name)
    if command == "train":
        from zeroscale.cli.commands import train

        assert jobs.study is not None
        if not jobs.sweep:
            ((_, config),) = jobs.configs
            return train.run(config, jobs.study)
        slips.check_launcher(jobs.launcher)
        name = given.config_name or command
        elsewhere = (
            None if jobs.launcher == "basic" else lambda study: launch_sweep(overrides, given.multirun, study, name)
        )
        return train.train_sweep(jobs.configs, jobs.study, elsewhere)
    if command == "plan":
        from zeroscale.cli.commands import plan

        return plan.run(jobs.configs, jobs.study)
    return commands.run(command, select_runs.resolve(command, jobs.configs, filters))


def _filter(argument: str) -> "tuple[str, Wanted]":
    """A filter of runs, `where.KEY=VALUE`, as key and value; ("", None) of another argument."""
    key, separator, value = argument.partition("=")
    if not key.startswith(FILTER):
        return "", None
    if not separator or not value:
        raise ZeroscaleError(f"{argument!r} is no filter; write where.KEY=VALUE, such as where.optimizer.lr=0.003")
    return key.removeprefix(FILTER), read_value(value)


def _overrides(arguments: list[str], multirun: bool) -> list[str]:
    for argument in arguments:
        if argument.startswith("-"):
            raise ZeroscaleError(
                f"unknown option {argument}; overrides are key=value, the most used options -m and --help"
            )
    return [_quoted(argument, multirun) for argument in arguments]


def _quoted(argument: str, multirun: bool) -> str:
    """Quotes free text for Hydra's grammar; with -m a comma still separates values."""
    key, separator, value = argument.partition("=")
    if key in VERBATIM:
        # The shell's bytes; other surrogates, which no shell can give, as the sign for what cannot be read.
        text = re.sub("[\ud800-\udc7f\udd00-\udfff]", "\ufffd", value)
        return f"{key}='{AS_HEX}{text.encode('utf-8', 'surrogateescape').hex()}'"
    bare = key.lstrip("+")
    if bare not in FREE_TEXT or value in ("", "null") or value[0] in ("'\"" if bare in NEVER_LISTS else "'\"["):
        return key + separator + quote_homes(value)
    values = value.split(",") if multirun else [value]
    return key + separator + ",".join(quote(part) for part in values)
