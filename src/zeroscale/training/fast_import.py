"""Loads what Lightning needs in half the time: torchmetrics, without what it would use if it were there.

Lightning imports torchmetrics, which imports scipy.signal, matplotlib and transformers wherever they are installed, for
metrics that this package never calls: half of the seconds before a run's first step.
"""

import importlib.util
import sys
from pathlib import Path

_LEFT_OUT = ("scipy", "matplotlib", "transformers", "nltk", "regex", "torchvision", "pycocotools")


def load_torchmetrics() -> None:
    """Imports torchmetrics in a process that will import Lightning; does nothing where it has been imported already."""
    package = None if "torchmetrics" in sys.modules else importlib.util.find_spec("torchmetrics")
    if package is None or not package.origin:
        return
    # Its module of installed packages, imported before the package itself and with some of them marked as absent.
    name = "torchmetrics.utilities.imports"
    from lightning_utilities.core import imports

    package_available = imports.package_available
    spec = importlib.util.spec_from_file_location(name, Path(package.origin).parent / "utilities" / "imports.py")
    try:
        assert spec is not None and spec.loader is not None
        flags = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(flags)
        for flag in vars(flags).values():
            if str(getattr(flag, "requirement", "")).startswith(_LEFT_OUT):
                flag.available = False
        sys.modules[name] = flags
        imports.package_available = lambda name: name not in _LEFT_OUT and package_available(name)  # type: ignore[assignment]
        importlib.import_module("torchmetrics")
    except Exception:
        # Another version of torchmetrics: it is then imported in its own way.
        for loaded in [key for key in sys.modules if key.split(".")[0] == "torchmetrics"]:
            del sys.modules[loaded]
    finally:
        imports.package_available = package_available
