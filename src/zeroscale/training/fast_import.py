"""Loads what Lightning needs in half the time: torchmetrics, without what it would use if it were there.

Lightning imports torchmetrics, which imports scipy.signal, matplotlib and transformers wherever they are installed, for
metrics that nobody here calls: half of the seconds before a run's first step.
"""

import importlib.util
import sys
from pathlib import Path

_LEFT_OUT = ("scipy", "matplotlib", "transformers", "nltk", "regex", "torchvision", "pycocotools")


def load_torchmetrics() -> None:
    """Imports torchmetrics in a process that will import Lightning; does nothing where it is there already."""
    found = None if "torchmetrics" in sys.modules else importlib.util.find_spec("torchmetrics")
    if found is None or not found.origin:
        return
    # Its list of what is installed, made before the package itself and with some of it crossed out.
    name = "torchmetrics.utilities.imports"
    from lightning_utilities.core import imports

    there = imports.package_available
    spec = importlib.util.spec_from_file_location(name, Path(found.origin).parent / "utilities" / "imports.py")
    try:
        assert spec is not None and spec.loader is not None
        flags = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(flags)
        for flag in vars(flags).values():
            if str(getattr(flag, "requirement", "")).startswith(_LEFT_OUT):
                flag.available = False
        sys.modules[name] = flags
        imports.package_available = lambda package: package not in _LEFT_OUT and there(package)
        importlib.import_module("torchmetrics")
    except Exception:
        # Another version of it: then it loads as it likes.
        for loaded in [key for key in sys.modules if key.split(".")[0] == "torchmetrics"]:
            del sys.modules[loaded]
    finally:
        imports.package_available = there
