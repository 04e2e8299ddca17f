"""What a command line composes to, shown: `--cfg`, `--info`, `show`, and completion in the shell."""

from zeroscale.cli.compose import compose_one, hydra_ready, message_for
from zeroscale.core.errors import ZeroscaleError


def origins_of(name: str, overrides: list[str], first: list[str]) -> dict[str, str]:
    """Where each value of a configuration comes from, by dotted key.

    Args:
        name: of the file in conf/.
        first: the overrides that distinguish the first job of a multirun.
    """
    from zeroscale.cli.composing import origins

    with hydra_ready():
        return {key: str(value) for key, value in origins.of(name, [*overrides, *first]).items()}


def print_composed(name: str, overrides: list[str], part: str, package: str | None, resolve: bool) -> None:
    """`--cfg`: a configuration as YAML, as it is composed and before it is validated; `part` is job, hydra or all.

    Raises:
        ZeroscaleError: it cannot be composed, or there is no such package in it.
    """
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    with hydra_ready():
        try:
            config = compose_one(name, overrides, with_hydra=part != "job")
            shown = OmegaConf.masked_copy(config, ["hydra"]) if part == "hydra" else config
            if package:
                shown = OmegaConf.select(shown, package)
                if not OmegaConf.is_config(shown):
                    raise ZeroscaleError(f"--package {package}: there is no such group in conf/{name}.yaml")
                print(f"# @package {package}")
            print(OmegaConf.to_yaml(shown, resolve=resolve), end="")
        except (HydraException, OmegaConfBaseException) as error:
            raise ZeroscaleError(message_for(name, error)) from error


def print_info(name: str, overrides: list[str], what: str) -> None:
    """`--info`: Hydra's search path, defaults, plugins or configuration.

    Raises:
        ZeroscaleError: the configuration cannot be composed.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    with hydra_ready():
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        try:
            hydra.show_info(what, config_name=name, overrides=overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise ZeroscaleError(message_for(name, error)) from error


def complete(command: str, line: str) -> list[str]:
    """What can stand at the end of a line of overrides."""
    with hydra_ready():
        from zeroscale.cli.composing import completion

        return completion.matches(command, line)
