"""What the verdict of `reproduce` says when the bits are not the same."""

import pytest

from zeroscale.provenance.compare_environment import Comparison, Difference
from zeroscale.provenance.compare_runs import Agreement
from zeroscale.provenance.reproduce import messages
from zeroscale.provenance.reproduce.request import ReproduceRequest, Reproduction

THREADS = Difference("threads", "2", "1", "yes", "sums are split by threads")
CORES = Difference("cores", "2", "64", "no", "the number of threads is what counts")


@pytest.mark.parametrize(
    ("different", "unknown", "words"),
    [
        ([CORES, THREADS], [], "not to the bit, and here differ from there: threads"),
        ([CORES], ["numerics"], "nothing that was recorded differs; not recorded: numerics"),
        ([], [], "what makes the difference is not in the manifest"),
    ],
)
@pytest.mark.parametrize("verdict", ["within tolerance", "different"])
def test_what_differs_and_can_matter_is_named_with_the_verdict(tmp_path, different, unknown, words, verdict):
    result = Reproduction(tmp_path, verdict, parts={"steps": Agreement(verdict, 3)})
    said: list[str] = []
    messages.print_verdict(result, 3, ReproduceRequest(tmp_path), said.append, (), Comparison([], different, unknown))
    assert words in said[-1]


def test_of_the_same_bits_nothing_has_to_be_explained(tmp_path):
    result = Reproduction(tmp_path, "bit-identical", parts={"steps": Agreement("bit-identical", 3)})
    said: list[str] = []
    messages.print_verdict(result, 3, ReproduceRequest(tmp_path), said.append, (), Comparison([], [THREADS], []))
    assert said[-1] == "  verdict    bit-identical"
