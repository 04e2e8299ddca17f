"""Of a size's runs those of one setting count: which, on what grounds, and what is said of the others."""

import json

import numpy
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import Options, describe, fit_study
from zeroscale.scaling.fit_schema import from_json
from zeroscale.scaling.options import COLUMNS

FEW = dict(law=("power",), bootstrap=200)


@pytest.fixture
def rates(tmp_path, disk):
    """Two learning rates x three sizes x five seeds: pocket-xs is best at 0.01 by less than its seeds differ."""
    return disk.write_rates(tmp_path / "rates")


def test_each_size_has_the_rate_with_the_best_mean_over_its_seeds(rates):
    fit = fit_study(rates, options=Options(**FEW))
    law, choice = fit["laws"]["val/loss"], fit["choice"]
    assert choice["axes"] == ["optimizer.lr"] and choice["select"] == "best-mean"
    assert [size["chosen"]["settings"]["optimizer.lr"] for size in choice["sizes"]] == [0.01, 0.003, 0.003]
    # Five runs of one rate a size: no size mixes rates, whichever seed was lucky.
    assert law["n_runs"] == 15 and [size["seeds"] for size in law["sizes"]] == [[0, 1, 2, 3, 4]] * 3
    assert [point["cell"] for point in law["points"]] == [
        cell for size in choice["sizes"] for cell in size["chosen"]["cells"]
    ]
    assert [size["loss"] for size in law["sizes"]] == pytest.approx([4.4, 4.2, 4.0])
    assert len([entry for entry in fit["left_out"] if "better mean loss" in entry["rule"]]) == 15
    assert json.loads((rates / "fit.json").read_text())["choice"] == choice


def test_what_was_chosen_is_a_sentence_with_settings_and_without_hashes(rates):
    fit = fit_study(rates, options=Options(**FEW))
    assert fit["choice"]["summary"] == (
        "For each size the learning rate with the best mean loss over 5 seeds: pocket-xs lr=0.01, pocket-s lr=0.003, "
        "pocket-m lr=0.003; 15 runs of other rates are left out"
    )
    text = describe(fit)
    assert text.startswith(f"{fit['choice']['summary']}.\n")
    assert "00000064" not in text and "0000001e" not in text  # the hashes of the runs' names
    at_ends = (
        "model=pocket-xs optimizer.lr=0.0333; model=pocket-s optimizer.lr=0.0009; model=pocket-m optimizer.lr=0.0009"
    )
    assert f"a better one may lie beyond; to see, add: {at_ends}." in text


def test_a_choice_by_less_than_the_noise_says_so(tmp_path, disk):
    noise = numpy.random.default_rng(3).standard_normal((2, 5)) * 0.02

    def loss(model, rate, seed):
        level = {"xs": 4.4, "s": 4.2, "m": 4.0}[model]
        worse = (0.2 if model != "xs" else 0.001) * (rate == 0.003)
        return level + worse + noise[int(rate == 0.003), seed]

    fit = fit_study(disk.write_rates(tmp_path / "rates", loss), options=Options(**FEW))
    tied, clear, _ = fit["choice"]["sizes"]
    assert tied["others"][0]["within_noise"] is True and clear["others"][0]["within_noise"] is False
    assert tied["others"][0]["low"] < 0 < tied["others"][0]["high"]
    said = [note for note in fit["choice"]["notes"] if "differ by less than the seeds do" in note]
    assert len(said) == 1 and said[0].startswith(
        f"pocket-xs: {tied['chosen']['label']} and {tied['others'][0]['label']}"
    )
    # Where the choice is by noise it lowers the mean; where it is not, it does not.
    assert tied["bias"] > 0.001 and clear["bias"] < 0.001


def test_seeds_of_unequal_sets_are_compared_where_both_have_them(tmp_path, disk):
    study = disk.write_rates(tmp_path / "rates")
    # A sixth seed of one rate alone, with a loss that would make that rate's mean the best.
    disk.write_cell(
        study,
        "s",
        seed=5,
        loss=2.0,
        name="pocket-s-seed5-00000064",
        settings={"optimizer.name": "adamw", "optimizer.lr": 0.01, "data.name": "books"},
        recorded={"corpus": {"name": "books", "fingerprint": "c" * 64}},
    )
    size = fit_study(study, options=Options(**FEW))["choice"]["sizes"][1]
    assert size["chosen"]["label"] == "lr=0.003" and size["same_seeds"] is True
    assert len(size["others"][0]["cells"]) == 6 and size["others"][0]["difference"] > 0


def test_where_and_select_say_which_settings_count(rates):
    fit = fit_study(rates, options=Options(**FEW, where={"lr": 0.01}))
    assert fit["choice"] is None and fit["laws"]["val/loss"]["n_runs"] == 15
    assert [size["loss"] for size in fit["laws"]["val/loss"]["sizes"]] == pytest.approx([4.4, 4.25, 4.05])
    assert {entry["rule"] for entry in fit["left_out"]} >= {"not lr=0.01"}
    everything = fit_study(rates, options=Options(**FEW, select="all"))
    assert everything["choice"] is None and everything["laws"]["val/loss"]["n_runs"] == 30
    with pytest.raises(ZeroscaleError, match=r"the runs have 0\.003, 0\.01"):
        fit_study(rates, options=Options(**FEW, where={"optimizer.lr": 0.02}))


@pytest.mark.parametrize("key", ["data.name", "trainer.context_length"])
def test_losses_on_other_text_are_never_chosen_among(tmp_path, disk, key):
    study = tmp_path / "texts"
    for model in ("xs", "s", "m"):
        for value in ("books", "web") if key == "data.name" else (64, 128):
            disk.write_cell(study, model, name=f"pocket-{model}-seed0-{value}", settings={key: value})
    with pytest.raises(ZeroscaleError, match=rf"differ in {key} .*do not compare"):
        fit_study(study, options=Options(**FEW))
    one = {"data.name": "web", "trainer.context_length": 64}[key]
    assert fit_study(study, options=Options(**FEW, where={key: one}))["laws"]["val/loss"]["n_runs"] == 3


def test_a_results_csv_has_the_settings_of_its_study(rates):
    study = fit_study(rates, options=Options(**FEW))
    table = fit_study(rates / "results.csv", rates / "again.json", options=Options(**FEW))
    assert table["choice"]["summary"] == study["choice"]["summary"] and table["choice"]["axes"] == ["optimizer.lr"]
    assert table["laws"]["val/loss"]["parameters"] == study["laws"]["val/loss"]["parameters"]
    one = fit_study(rates / "results.csv", rates / "again.json", options=Options(**FEW, where={"lr": 0.003}))
    assert one["choice"] is None and one["laws"]["val/loss"]["n_runs"] == 15


def test_a_csv_says_which_of_its_columns_are_settings(tmp_path):
    rows = ["params,tokens,loss,seed,lr,wd"]
    for params, best in ((1e6, 0.01), (1e7, 0.003), (1e8, 0.003)):
        for lr in (0.003, 0.01):
            for seed in (0, 1, 2):
                loss = 8.4 - 0.5 * numpy.log10(params) + (0.1 if lr != best else 0) + 0.01 * seed
                rows.append(f"{params:.0f},2e9,{loss},{seed},{lr},0.1")
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(ZeroscaleError, match="repeats row"):
        fit_study(path, options=Options(**FEW))
    fit = fit_study(path, options=Options(**FEW, columns=COLUMNS, axes=("lr", "wd")))
    assert [size["chosen"]["label"] for size in fit["choice"]["sizes"]] == ["lr=0.01", "lr=0.003", "lr=0.003"]
    assert fit["choice"]["axes"] == ["lr"]
    assert "For each size the learning rate with the best mean loss over 3 seeds: N = 1.00M lr=0.01" in describe(fit)
    with pytest.raises(ZeroscaleError, match=r"no column beta2 \(columns.axes\)"):
        fit_study(path, options=Options(**FEW, axes=("lr", "beta2")))


def test_what_to_add_can_be_typed(rates):
    from zeroscale.cli.compose import compose
    from zeroscale.config.train import TrainConfig
    from zeroscale.config.validate import build_config

    size = fit_study(rates, options=Options(**FEW))["choice"]["sizes"][0]
    assert size["edges"] == {"optimizer.lr": "largest"} and size["further"] == ["model=pocket-xs optimizer.lr=0.0333"]
    config = build_config(TrainConfig, compose("train", size["further"][0].split()).configs[0][1])
    assert config.model.name == "pocket-xs" and config.optimizer.lr == pytest.approx(0.01**2 / 0.003, rel=0.01)


def test_batches_of_another_size_make_no_other_length(tmp_path):
    # 1,000,000 tokens in whole batches of 3,000 and of 7,000.
    rows = ["params,tokens,loss,seed,batch"]
    for params in (1e6, 1e7, 1e8):
        for batch, tokens in ((3000, 999_000), (7000, 1_001_000)):
            for seed in (0, 1):
                loss = 8.4 - 0.5 * numpy.log10(params) + batch / 1e5 + 0.01 * seed
                rows.append(f"{params:.0f},{tokens},{loss},{seed},{batch}")
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows) + "\n")
    fit = fit_study(path, options=Options(**FEW, axes=("batch",)))
    assert [size["chosen"]["label"] for size in fit["choice"]["sizes"]] == ["batch=3000"] * 3
    assert fit["choice"]["sizes"][0]["name"] == "N = 1.00M" and fit["laws"]["power"]["n_runs"] == 6


def test_a_law_over_size_and_data_chooses_for_each_length(tmp_path):
    rows = ["params,tokens,loss,seed,lr"]
    noise = numpy.random.default_rng(0)
    for params in (1e7, 1e8, 1e9):
        for tokens in (1e9, 1e10, 1e11):
            for lr in (0.001, 0.002):
                for seed in (0, 1, 2):
                    loss = 1.7 + 400 / params**0.34 + 400 / tokens**0.28 + 0.003 * noise.standard_normal()
                    rows.append(f"{params:.0f},{tokens:.0f},{loss},{seed},{lr}")
    path = tmp_path / "grid.csv"
    path.write_text("\n".join(rows) + "\n")
    options = dict(law=("vpnls",), bootstrap=200, axes=("lr",))
    fit = fit_study(path, options=Options(**options))
    assert len(fit["choice"]["sizes"]) == 9 and fit["laws"]["vpnls"]["n_points"] == 27
    assert fit["choice"]["sizes"][1]["name"] == "N = 10.0M on 10.0B tokens"
    law = fit["laws"]["vpnls"]
    assert "choosing the best setting" in law["intervals"]["method"]
    for estimate in (*law["parameters"].values(), *law["exponents"].values()):
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
    # The law itself is that of the chosen runs, plain.
    cells = {cell for size in fit["choice"]["sizes"] for cell in size["chosen"]["cells"]}
    assert {point["cell"] for point in law["points"]} == cells


def test_a_fit_file_with_its_choice_is_read_again(rates):
    fit = from_json(fit_study(rates, options=Options(**FEW)))
    assert fit.choice is not None and fit.choice.sizes[0].chosen is not None
    assert fit.choice.sizes[0].chosen.settings == {"optimizer.lr": 0.01}
    old = {key: value for key, value in fit_study(rates, options=Options(**FEW)).items() if key != "choice"}
    assert from_json(old).choice is None
