"""What differs between two runs' settings."""

from zeroscale.config.hashing import NEUTRAL, hashed
from zeroscale.config.raw import RawConfig


def differences(before: RawConfig, now: RawConfig) -> list[str]:
    """ "optimizer.lr was 0.006, is 0.01" for every setting that can change a result and has changed."""
    old, new = _flat(hashed(before)), _flat(hashed(now))
    lines = []
    for key in sorted(old.keys() | new.keys()):
        was, now_is = (values.get(key, NEUTRAL.get(key)) for values in (old, new))
        if was != now_is:
            lines.append(f"{key} was {was}, is {now_is}")
    return lines


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    """Nested keys joined by dots: {"optimizer.lr": 0.01}."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, item in value.items()
        for name, leaf in _flat(item, f"{prefix}.{key}" if prefix else key).items()
    }
