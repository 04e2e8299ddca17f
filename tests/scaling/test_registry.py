"""The registry of laws agrees with the names that the command line takes, and with what the report says of each."""

from typing import get_args, get_type_hints

import pytest

from zeroscale.cli.commands.fit import LawName
from zeroscale.config.commands.compare import CompareLawsConfig
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import registry
from zeroscale.scaling.compare import compare_laws


def test_the_command_line_takes_the_laws_of_the_registry():
    assert get_args(LawName) == ("auto", "all", *registry.LAWS)


def test_the_help_names_every_law():
    text = (paths.conf() / "fit.yaml").read_text(encoding="utf-8").partition("\nlaw:")[2].partition("\nout:")[0]
    assert [name for name in registry.LAWS if name not in text] == []


def test_two_studies_are_compared_by_a_surface_or_over_compute():
    assert get_args(get_type_hints(CompareLawsConfig)["law"]) == compare_laws.LAWS


@pytest.mark.parametrize("name", registry.LAWS)
def test_an_entry_says_how_the_law_is_fitted(name):
    law = registry.LAWS[name]
    assert (law.fit is None) == (law.kind in ("downstream", "data"))
    assert (law.surface is not None) == (law.kind == "surface")
    assert (law.figure is None) == (law.lead is None)


def test_auto_and_all_stand_for_several_laws():
    assert registry.requested(["all"]) == tuple(registry.LAWS)
    assert registry.requested(["auto"]) == tuple(name for name in registry.LAWS if name != "benchmarks")
    assert registry.requested(["auto", "benchmarks"]) == tuple(registry.LAWS)
    assert registry.requested(["isoflop", "power"]) == ("power", "isoflop")


@pytest.mark.parametrize("names", [["hinchilla"], []])
def test_an_unknown_law_is_refused(names):
    with pytest.raises(ZeroscaleError, match="is unknown: use auto, all, or some of power, chinchilla"):
        registry.check_names(names)
