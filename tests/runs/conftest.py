"""The made-up study of this room's tests."""

from support.made_study import disk, make_study  # noqa: F401
