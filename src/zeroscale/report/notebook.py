"""A study in a notebook: its runs, ledger, laws and figures as objects."""

import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_bytes
from zeroscale.core.paths import local_path
from zeroscale.report import dashboard, page
from zeroscale.report.figures import matplotlib_files
from zeroscale.runs import study
from zeroscale.runs.where import Wanted
from zeroscale.scaling.fit import fit_study
from zeroscale.scaling.summary import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class StudyFigure:
    """One of the report's figures; a notebook shows it. `figure` is matplotlib's, for changes of one's own."""

    def __init__(self, name: str, figure: "Figure") -> None:
        self.name = name
        self.figure = figure

    def save(self, path: str | Path) -> Path:
        """Writes the figure; the ending of the name (png, svg, pdf) says how."""
        path = local_path(path)
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format=path.suffix.lstrip(".") or "png")
        write_bytes(path, buffer.getvalue())
        return path

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()

    def __repr__(self) -> str:
        return f"<figure {self.name}>"


class StudyFit:
    """The laws of a study with their intervals and warnings; printed as `zeroscale fit` prints them.

    Attributes:
        content: fit.json as it was written.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    @property
    def laws(self) -> Mapping[str, Any]:
        """Each law by name: form, parameters, hold_out, points, warnings, …"""
        laws: Mapping[str, Any] = self.content["laws"]
        return laws

    @property
    def warnings(self) -> dict[str, list[str]]:
        """What speaks against each law."""
        return {name: list(law["warnings"]) for name, law in self.laws.items()}

    def table(self) -> "DataFrame":
        """A row for each parameter of each law: law, parameter, value, low, high (95 %; NaN where unknown)."""
        import pandas

        rows = [
            {"law": name, "parameter": parameter, **{end: estimate[end] for end in ("value", "low", "high")}}
            for name, law in self.laws.items()
            for parameter, estimate in law["parameters"].items()
        ]
        frame = pandas.DataFrame(rows, columns=["law", "parameter", "value", "low", "high"])
        return frame.astype({"value": "float64", "low": "float64", "high": "float64"})

    def __repr__(self) -> str:
        return describe(dict(self.content))


class Study(study.Study):
    """A study's directory. Runs, ledger and figures are read when first asked for; `refresh` reads them again."""

    def __init__(self, directory: str | Path) -> None:
        super().__init__(local_path(directory))
        self.require_runs()

    def fit(
        self,
        law: str | Sequence[str] = "auto",
        *,
        convention: Literal["non_embedding", "total", "matmul"] = "non_embedding",
        bootstrap: int = 4000,
        seed: int = 0,
        select: Literal["best-mean", "all"] = "best-mean",
        where: Mapping[str, Wanted] | None = None,
        out: str | Path | None = None,
    ) -> StudyFit:
        """Fits laws to the study's finished runs and writes fit.json, as `zeroscale fit` does.

        Args:
            law: power, chinchilla, vpnls, isoflop, envelope, kaplan, data, benchmarks, or several; "all"; "auto": what
                the number of sizes and token counts can carry. Sources: docs/scaling-laws.md.
            convention: what counts as N: parameters without embeddings (Kaplan's), all, or those in matrix products.
            bootstrap: refits behind each 95 % interval.
            select: of a size's runs those of the setting with the best mean over seeds count, or all, as repeats.
            where: settings that the runs must have: {"optimizer.lr": 0.003}.
            out: where to write; by default fit.json in the study.

        Raises:
            ZeroscaleError: no finished run, one size only, or a law named here that the runs cannot carry.
        """
        content = fit_study(
            self.directory,
            None if out is None else local_path(out),
            law=law,
            convention=convention,
            bootstrap=bootstrap,
            seed=seed,
            select=select,
            where=where,
            command=None,
        )
        if out is None:
            self.refresh()
        return StudyFit(content)

    @property
    def figures(self) -> list[str]:
        """Names that `figure` takes: loss_over_tokens, loss_over_flops, law, benchmarks, and those of fitted laws."""
        with matplotlib_files.style() as palette:
            return list(self._drawings(palette))

    def figure(self, name: str = "law") -> StudyFigure:
        """One of the report's figures, drawn from what the study holds now.

        Raises:
            ZeroscaleError: the study has no such figure (a law's needs a fit: call `fit` first).
        """
        with matplotlib_files.style() as palette:
            drawings = self._drawings(palette)
            if name not in drawings:
                raise ZeroscaleError(f"{self.directory} has no figure {name!r}: it has {', '.join(drawings) or 'none'}")
            return StudyFigure(name, matplotlib_files.draw_figure(drawings[name]))

    def report(self, out: str | Path | None = None) -> Path:
        """Writes the whole report, as `zeroscale report` does; returns its index.html."""
        return dashboard.write(self.directory, None if out is None else local_path(out))

    def refresh(self) -> None:
        """Forgets what was read, so that it is read again."""
        for name in ("runs", "ledger", "recorded_fit", "_page"):
            self.__dict__.pop(name, None)

    def __repr__(self) -> str:
        return f"Study({str(self.directory)!r}): {len(self.runs)} runs"

    @cached_property
    def _page(self) -> page.PageData:
        return page.read([self.directory], keep=False)

    def _drawings(self, palette: list[str]) -> dict[str, matplotlib_files.Drawing]:
        data = self._page
        return matplotlib_files.drawings(data.merged, data.laws[0], data.curves, data.cards, palette)


def open_study(directory: str | Path) -> Study:
    """Opens a study's directory: runs, ledger, laws and figures.

    Raises:
        ZeroscaleError: it is no directory, holds no run, or a file in it is damaged.
    """
    return Study(directory)
