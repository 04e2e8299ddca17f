"""Settings that are read line by line are what YAML's own parser reads, and all else is left to that."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroscale.config.hashing import as_dict
from zeroscale.core.parsing import yaml_lines

WORDS = [
    "a",
    "null",
    "true",
    "yes",
    "-",
    "- 1",
    "'",
    "''",
    "'a b'",
    "1",
    "01",
    "1.5",
    "1e5",
    "1.0e-08",
    ".5",
    "~",
    "[]",
]
WORDS += [
    "{}",
    "[1]",
    "x: y",
    "#",
    "a # b",
    "0x1f",
    "1_0",
    "12:30",
    "2026-01-01",
    "é",
    '"q"',
    "&a",
    "*a",
    "!t",
    "|",
    "N",
]


def agree(text: str) -> None:
    found = yaml_lines.parse(text)
    if found is not None:
        assert repr(found) == repr(yaml.safe_load(text)), text


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(["", "a:", "b:", "on:", "c", "- ", "#"]), st.sampled_from(["", *WORDS])
        ),
        max_size=6,
    )
)
def test_what_it_reads_is_what_yaml_reads(lines):
    agree("\n".join(f"{' ' * (2 * depth)}{head} {word}".rstrip() for depth, head, word in lines))


VALUES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        VALUES | st.sampled_from(WORDS),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "no"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_what_yaml_writes_comes_back(value):
    text = yaml.safe_dump({"key": value}, sort_keys=False, allow_unicode=True)
    agree(text)


def test_our_own_settings_are_read_so():
    from zeroscale.cli import compose
    from zeroscale.config.train import TrainConfig
    from zeroscale.config.validate import build_config

    ((_, config),) = compose.compose("train", ["model=pocket-s"]).configs
    plain = as_dict(build_config(TrainConfig, config))
    text = "# The resolved settings of this run: enough to run it again.\n" + yaml.safe_dump(plain, sort_keys=False)
    assert yaml_lines.parse(text) == plain


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2\n", "a:\n", "a:\nb: 1\n", "on: 1\n", "a: yes\n", "a: 1 # x\n", "- 1\n", "a: [1]\n"]
)
def test_what_is_not_plain_is_left_to_yaml(text):
    assert yaml_lines.parse(text) is None


def test_no_two_readers_share_a_list():
    first, second = (yaml_lines.parse("a: []\n") for _ in range(2))
    first["a"].append(1)
    assert second == {"a": []}
