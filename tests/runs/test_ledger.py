"""The ledger of a made-up study: a row per checkpoint, whatever state its run is in."""

import hashlib
import json
import shutil

import pandas
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.flops import flops_per_token, params
from zeroscale.runs import ledger
from zeroscale.runs.study import Study
from zeroscale.scaling import runs_csv


def test_a_row_for_each_checkpoint_sorted_by_size_then_step(make_study):
    frame = Study(make_study(m=4.2, xs=5.0, l=3.8, s=4.6)).ledger
    assert list(frame["model"]) == [f"pocket-{size}" for size in ("xs", "s", "m", "l") for _ in range(2)]
    assert list(frame["step"]) == [256, 512] * 4
    settings = ("model.name", "model.d_model", "model.n_layer")
    assert tuple(frame.columns) == (*ledger.FIXED_COLUMNS, *settings)
    last = frame.iloc[-1]
    shape = dict(n_layer=5, d_model=176, n_positions=128, vocab_size=1000)
    counted = params(**shape)
    assert (last["params"], last["params_non_embedding"], last["params_matmul"]) == tuple(vars(counted).values())
    assert last["tokens"] == 512 * 2048
    assert last["flops"] == 512 * 2048 * flops_per_token(**shape, context=128)
    assert last["flops_6nd"] == 6 * counted.non_embedding * 512 * 2048
    assert (last["val/loss"], last["val/bits_per_byte"], last["seconds"]) == (3.8, 2.0, 51.2)
    assert last["train/loss"] == pytest.approx(4.488)


def test_scores_become_columns_with_their_interval_and_count(tmp_path, disk):
    samples = disk.result("lambada", {"acc": disk.score(0.3, n=12), "perplexity": disk.score(40.0)}, is_sample=True)
    other = {**disk.result("lambada", {"acc": disk.score(0.4)}), "protocol": "lm-eval"}
    disk.write_cell(tmp_path, "s", results={512: [samples, other]})
    row = Study(tmp_path).ledger.iloc[-1]
    assert list(row[["lambada/acc", "lambada/acc/low", "lambada/acc/high"]]) == pytest.approx([0.3, 0.28, 0.32])
    assert row["lambada/acc/n"] == 12
    assert row["lambada/perplexity"] == 40.0
    assert row["lambada.lm-eval/acc"] == 0.4
    assert row["sample_cards"] == "lambada"
    scores = [column for column in row.index if "/" in column and column not in ledger.FIXED_COLUMNS]
    assert scores[:4] == ["lambada/acc", "lambada/acc/low", "lambada/acc/high", "lambada/acc/n"]


def test_a_setting_in_which_runs_differ_is_a_column_of_its_type(tmp_path, disk):
    disk.write_rates(tmp_path)
    frame = Study(tmp_path).ledger
    settings = ["model.name", "model.d_model", "model.n_layer", "optimizer.lr"]
    assert list(frame.columns[len(ledger.FIXED_COLUMNS) :]) == settings, "the seed has its column already"
    assert [str(frame[key].dtype) for key in settings[1:]] == ["Int64", "Int64", "float64"]
    row = frame[frame["cell"] == "pocket-s-seed0-0000001e"].iloc[-1]
    assert (row["label"], row["model.name"], row["optimizer.lr"]) == ("pocket-s lr=0.003 seed=0", "pocket-s", 0.003)
    means = frame[frame["step"] == 512].groupby(["model", "optimizer.lr"])["val/loss"].mean()
    assert means["pocket-m", 0.003] == pytest.approx(4.0)
    path = Study(tmp_path).write_ledger()
    back = pandas.read_csv(path)
    pandas.testing.assert_frame_equal(back, frame, check_dtype=False, check_exact=True)
    again = runs_csv.read(path).frame
    assert set(zip(again["optimizer.lr"], again["model.n_layer"], strict=True)) == {
        (r, n) for r in (0.003, 0.01) for n in (2, 3)
    }


@pytest.mark.parametrize(
    ("values", "dtype", "back"),
    [
        ((True, False, None), "boolean", [True, False, None]),
        ((1, 2, None), "Int64", [1, 2, None]),
        ((1, 0.5, None), "float64", [1.0, 0.5, None]),
        (("a b", "c,d", None), "string", ["a b", "c,d", None]),
        (("auto", 0.5, True), "string", ["auto", 0.5, True]),
        (([1, 2], [1], None), "string", ["[1, 2]", "[1]", None]),
        ((2**70, 1, None), "float64", [2.0**70, 1.0, None]),
    ],
)
def test_the_type_of_a_settings_column_is_that_of_its_values(tmp_path, disk, values, dtype, back):
    for i, value in enumerate(values):
        disk.write_cell(tmp_path, "s", name=f"run-{i}", settings={"optimizer.x": value}, checkpoints=(512,))
    study = Study(tmp_path)
    assert str(study.ledger["optimizer.x"].dtype) == dtype
    rows = [row for _, row in ledger.read_rows(study.write_ledger())]
    assert [ledger.setting(row["optimizer.x"]) for row in rows] == back


def test_a_run_that_is_gone_leaves_no_trace(tmp_path, disk):
    for seed in range(3):
        disk.write_cell(tmp_path, "s", seed=seed)
    before = Study(tmp_path).write_ledger().read_bytes()
    gone = disk.write_cell(tmp_path, "s", name="other", settings={"optimizer.lr": 0.1})
    assert Study(tmp_path).write_ledger().read_bytes() != before
    shutil.rmtree(gone)
    assert Study(tmp_path).write_ledger().read_bytes() == before


def test_a_ledger_is_known_by_the_hash_of_what_an_earlier_version_wrote(tmp_path, disk):
    disk.write_rates(tmp_path)
    result = disk.result("lambada", {"acc": disk.score(0.3)})
    disk.write_cell(tmp_path, "l", results={512: [result]}, name='with "quotes", and a comma')
    study = Study(tmp_path)
    settings = [key for key in study.axes.columns if key != "seed"]
    earlier = ledger.as_csv(study.ledger.drop(columns=["label", *settings]))
    assert hashlib.sha256(earlier.encode()).hexdigest() in ledger.hashes(study.write_ledger())
    study.ledger_path.write_text(earlier)
    assert ledger.hashes(study.ledger_path) == {hashlib.sha256(earlier.encode()).hexdigest()}


def test_held_out_text_overrules_the_validation_on_the_way(tmp_path, disk):
    held = disk.result("held_out", {"loss": disk.score(3.9), "bits_per_byte": disk.score(1.9)}, protocol="corpus")
    disk.write_cell(tmp_path, "s", loss=4.0, results={512: [held]})
    frame = Study(tmp_path).ledger
    assert list(frame["val/loss"]) == [4.256, 3.9]
    assert list(frame["val/bits_per_byte"]) == [2.0, 1.9]
    assert frame["held_out/loss/high"].iloc[1] == pytest.approx(3.92)


def test_a_score_without_a_value_is_an_empty_field(tmp_path, disk):
    disk.write_cell(tmp_path, "s", results={512: [disk.result("wmt14", {"bleu": disk.score(None)})]})
    assert Study(tmp_path).ledger["wmt14/bleu"].isna().all()


def test_the_same_runs_give_the_same_bytes(make_study):
    study = make_study(xs=5.0, s=4.6)
    first = Study(study).write_ledger().read_bytes()
    assert Study(study).write_ledger().read_bytes() == first
    assert [path.name for path in study.iterdir() if path.name.startswith(".")] == []
    back = pandas.read_csv(study / "results.csv")
    pandas.testing.assert_frame_equal(back, Study(study).ledger, check_dtype=False, check_exact=True)


def test_partial_runs_are_listed_and_give_rows_only_where_there_is_something(tmp_path, disk):
    disk.write_cell(tmp_path, "xs")
    disk.write_cell(tmp_path, "s", state="running", checkpoints=(256,))
    disk.write_cell(tmp_path, "m", state="failed", checkpoints=())
    disk.write_cell(tmp_path, "l", state="resumable", checkpoints=(), manifest=False)
    bare = tmp_path / "just-begun"
    bare.mkdir()
    (bare / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "report").mkdir()
    states = {cell.name: cell.state for cell in Study(tmp_path).runs}
    assert states == {
        "pocket-xs-seed0": "done",
        "pocket-s-seed0": "resumable",
        "pocket-m-seed0": "failed",
        "pocket-l-seed0": "resumable",
        "just-begun": "resumable",
    }
    frame = Study(tmp_path).ledger
    assert list(zip(frame["cell"], frame["step"], frame["status"], strict=True)) == [
        ("pocket-xs-seed0", 256, "done"),
        ("pocket-xs-seed0", 512, "done"),
        ("pocket-s-seed0", 256, "resumable"),
    ]


def test_done_is_the_file_written_last(tmp_path, disk):
    cell = disk.write_cell(tmp_path, "xs")
    (cell / "DONE").unlink()
    assert [cell.state for cell in Study(tmp_path).runs] == ["resumable"]


def test_a_torn_last_line_is_dropped_and_a_torn_middle_named(tmp_path, disk):
    cell = disk.write_cell(tmp_path, "xs")
    metrics = cell / "metrics.jsonl"
    whole = metrics.read_text()
    metrics.write_text(whole + '{"step": 640, "tok')
    assert len(Study(tmp_path).ledger) == 2
    metrics.write_text('{"step": 1\n' + whole)
    with pytest.raises(ZeroscaleError, match=r"metrics\.jsonl, line 1"):
        ledger.collect(Study(tmp_path).runs)
    assert Study(tmp_path).ledger.empty and Study(tmp_path).readable_runs == []


def test_half_written_folders_are_not_read(tmp_path, disk):
    cell = disk.write_cell(tmp_path, "xs")
    (cell / "checkpoints" / ".step-00000640.17.ab.tmp").mkdir()
    (cell / "evals" / "step-00000640").mkdir(parents=True)
    (tmp_path / ".pocket-s.1.tmp").mkdir()
    (tmp_path / ".pocket-s.1.tmp" / "config.yaml").write_text("seed: 1\n")
    assert list(Study(tmp_path).ledger["step"]) == [256, 512]


def test_a_damaged_result_is_named(tmp_path, disk):
    cell = disk.write_cell(tmp_path, "xs")
    folder = cell / "evals" / "step-00000512"
    folder.mkdir(parents=True)
    (folder / "lambada.paper.json").write_text(json.dumps({"acc": 1}))
    with pytest.raises(ZeroscaleError, match=r"lambada\.paper\.json: the file has no card and no metrics"):
        ledger.collect(Study(tmp_path).runs)
    study = Study(tmp_path)
    assert study.ledger.empty and study.readable_runs == []
    assert "has no card" in study.unreadable_runs[0].fault


def test_reading_says_what_is_not_there(tmp_path, disk):
    with pytest.raises(ZeroscaleError, match="does not exist"):
        runs_csv.read(tmp_path / "nowhere")
    with pytest.raises(ZeroscaleError, match="holds no runs"):
        runs_csv.read(tmp_path)
    disk.write_cell(tmp_path, "m", state="failed", checkpoints=())
    with pytest.raises(ZeroscaleError, match="pocket-m-seed0 is failed"):
        runs_csv.read(tmp_path)


def test_a_results_csv_reads_back_as_the_study_it_came_from(make_study):
    study = make_study(xs=5.0, s=4.6)
    path = Study(study).write_ledger()
    pandas.testing.assert_frame_equal(
        runs_csv.read(path).frame[["cell", "step", "params_non_embedding", "tokens", "val/loss"]],
        runs_csv.read(study).frame[["cell", "step", "params_non_embedding", "tokens", "val/loss"]],
        check_dtype=False,
    )
