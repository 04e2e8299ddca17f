"""Where Hydra looks for configurations: the user's own conf/, the shipped one, then sweeps/ of both.

Folders of `hydra.searchpath` come after all of these.
"""

from functools import cache

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from zeroscale.core import paths
from zeroscale.core.own import folder


class SweepsSource(FileConfigSource):
    """A folder of which the group `sweeps` alone is seen: no other folder beside it can be taken for a group."""

    @staticmethod
    def scheme() -> str:
        return "sweeps"

    def is_group(self, config_path: str) -> bool:
        return config_path.partition("/")[0] in ("", "sweeps") and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return config_path.startswith("sweeps/") and super().is_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        found: list[str] = super().list(config_path, results_filter)
        return found if config_path else [name for name in found if name == "sweeps"]


class OwnFolderFirst(SearchPathPlugin):
    """Puts the user's own folder before the shipped configurations."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own, own_conf = folder.find(), folder.conf()
        if own_conf:
            search_path.prepend("own", f"file://{own_conf}", anchor="main")
        if own and (own / "sweeps").is_dir():
            search_path.append("own", f"sweeps://{own}")
        search_path.append("zeroscale", f"file://{paths.share()}")


@cache
def register() -> None:
    """Tells Hydra of these, once for a process."""
    Plugins.instance().register(SweepsSource)
    Plugins.instance().register(OwnFolderFirst)
