"""The Hugging Face hub and the directories that it holds: downloads, refusals explained, and a model's files."""

from zeroscale.core.hub.client import (
    Snapshot,
    check_dataset_access,
    is_repo_name,
    refusal_reason,
    snapshot,
    unreachable_reason,
)

__all__ = [
    "Snapshot",
    "check_dataset_access",
    "is_repo_name",
    "refusal_reason",
    "snapshot",
    "unreachable_reason",
]
