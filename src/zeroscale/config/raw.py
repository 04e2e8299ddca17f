"""Settings before they are checked."""

from typing import Any

RawConfig = dict[str, Any]
"""Settings as YAML or the command line give them: nested mappings, lists and scalars."""
