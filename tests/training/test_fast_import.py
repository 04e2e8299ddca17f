"""What a run loads before its first step."""

import subprocess
import sys

CODE = """
import sys
from zeroscale.eval import run
from zeroscale.model.gpt import GPT
from zeroscale.training import build
# The compiler, of which only what is compiled has need; Lightning loads it.
assert "torch._dynamo" not in sys.modules
{first}
import pytorch_lightning, torchmetrics
assert torchmetrics.MeanMetric is not None
heavy = [name for name in ("scipy.signal", "matplotlib", "transformers") if name in sys.modules]
print(*heavy)
from zeroscale.training import distributed, module
from lightning_utilities.core.imports import package_available
assert package_available("scipy")
"""


def loaded(first: str) -> list[str]:
    result = subprocess.run([sys.executable, "-c", CODE.format(first=first)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_lightning_comes_without_what_nobody_here_uses():
    assert loaded("build.quiet_libraries()") == []
    # Without it they come along wherever they are installed: if that has changed, quick_import is not needed any more.
    assert "scipy.signal" in loaded("")
