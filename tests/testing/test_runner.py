"""Running the checks: which, of what, and what comes back."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from kit_models import DaysRegressor, Rows, RowsRegressor
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import skattn
from skattn.testing import check_model, model_checks, parametrize_with_model_checks

PICKLE, SUMS = "check_pickle", "check_attention_sums"


class Unsummed(Rows):
    def attend(self, x):
        return {"time": 2 * super().attend(x)["time"]}


class UnsummedRegressor(RowsRegressor):
    def build_module(self, n_steps, n_features):
        return Unsummed(n_features, self.size, self.dropout)


@pytest.mark.parametrize("model", [RowsRegressor(), RowsRegressor, "gru"])
def test_an_instance_a_class_or_a_name(model):
    (result,) = check_model(model, checks=[PICKLE])
    assert result["status"] == "passed"
    assert isinstance(result["estimator"], skattn.SequenceRegressor)
    assert result["exception"] is None
    assert set(result) == {
        "estimator",
        "check_name",
        "exception",
        "status",
        "expected_to_fail",
        "expected_to_fail_reason",
    }


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (make_pipeline(Ridge()), TypeError, r"skattn regressor.*Pipeline.*check the regressor"),
        (Ridge, TypeError, r"skattn\.SequenceRegressor.*Ridge"),
        (skattn.SequenceRegressor, TypeError, r"abstract"),
        (3, TypeError, r"estimator must be a skattn regressor.*got 3"),
        ("alsmt", ValueError, r"'alsmt'.*Did you mean 'alstm'"),
    ],
)
def test_what_is_no_model(model, error, message):
    for call in (check_model, lambda model: list(model_checks(model))):
        with pytest.raises(error, match=message):
            call(model)
    with pytest.raises(error, match=message):
        parametrize_with_model_checks([model])


def test_the_checks_depend_on_the_kind_of_model():
    by_rows, by_days = (
        [name for name, _ in model_checks(model)] for model in (RowsRegressor, DaysRegressor)
    )
    assert len(set(by_rows)) == len(by_rows) > 70
    assert len(set(by_days)) == len(by_days)
    assert set(by_days) - set(by_rows) == {
        "check_attention_leaves_padding_out",
        "check_days_do_not_see_each_other",
        "check_days_of_one_stock",
        "check_order_of_stocks_does_not_matter",
        "check_padding_is_not_seen",
    }
    assert set(by_rows) - set(by_days) == {
        "check_batches_of_one_row",
        "check_rows_do_not_see_each_other",
    }
    own = [name for name, _ in model_checks(RowsRegressor, scikit_learn=False)]
    assert own == by_rows[: len(own)]
    assert "check_fit2d_1sample" in by_rows[len(own) :]


def test_what_a_failure_does():
    with pytest.raises(AssertionError, match="attention_sums") as raised:
        check_model(UnsummedRegressor, checks=[SUMS])
    assert raised.value.__notes__ == [f"This is {SUMS} of UnsummedRegressor."]
    with pytest.warns(EstimatorCheckFailedWarning, match=SUMS):
        check_model(UnsummedRegressor, checks=[SUMS], on_fail="warn")
    seen = []
    results = check_model(
        UnsummedRegressor, checks=[SUMS, PICKLE], on_fail=None, on_result=seen.append
    )
    assert results == seen
    assert [each["status"] for each in results] == ["failed", "passed"]
    seen.clear()
    with pytest.raises(AssertionError):
        check_model(UnsummedRegressor, checks=[SUMS], on_result=seen.append)
    assert [each["status"] for each in seen] == ["failed"]


def test_excluded_expected_and_skipped():
    (result,) = check_model(
        UnsummedRegressor,
        checks=[SUMS, PICKLE],
        exclude=[PICKLE],
        expected_failed_checks={SUMS: "odd"},
    )
    assert (result["status"], result["expected_to_fail_reason"]) == ("xfail", "odd")
    (result,) = check_model("gru", checks=[SUMS])
    assert (result["status"], str(result["exception"])) == ("skipped", "GRU has no attend")


@pytest.mark.parametrize(
    "names",
    [
        {"checks": ["check_pickel"]},
        {"exclude": ["check_pickel"]},
        {"expected_failed_checks": {"check_pickel": ""}},
    ],
)
def test_names_of_no_check(names):
    (argument,) = names
    with pytest.raises(
        ValueError, match=rf"{argument} names 'check_pickel'.*Did you mean {PICKLE!r}"
    ):
        check_model(RowsRegressor, **names)


def test_other_arguments_that_cannot_be():
    with pytest.raises(TypeError, match=r"checks must be a list of names"):
        check_model(RowsRegressor, checks=PICKLE)
    with pytest.raises(ValueError, match=r"on_fail must be.*'print'"):
        check_model(RowsRegressor, on_fail="print")
    with pytest.raises(TypeError, match=r"estimators must be a list"):
        parametrize_with_model_checks("gru")


def test_names_of_tests():
    mark = parametrize_with_model_checks(
        [RowsRegressor, "gru"],
        scikit_learn=False,
        expected_failed_checks=lambda model: {SUMS: "odd"} if "Rows" in repr(model) else {},
    ).mark
    assert mark.args[0] == ("estimator", "check")
    cases = {case.id: case for case in mark.args[1]}
    assert f"GRURegressor-{PICKLE}" in cases
    assert [name for name, case in cases.items() if case.marks] == [f"RowsRegressor-{SUMS}"]
    estimator, check = cases[f"RowsRegressor-{PICKLE}"].values
    check(estimator)


def test_an_instance_is_checked_with_its_parameters():
    class Picky(RowsRegressor):
        parameters_for_checks: ClassVar[dict] = {"size": 5, "dropout": 0.1}

        def build_module(self, n_steps, n_features):
            built.append((self.size, self.dropout))
            return Rows(n_features, self.size, self.dropout)

    built: list[tuple] = []
    check_model(Picky(size=7), checks=["check_fit_and_predict"])
    check_model(Picky(), checks=["check_fit_and_predict"])
    assert built == [(7, 0.1), (5, 0.1)]


def test_parameters_for_checks_that_are_none():
    class Slips(RowsRegressor):
        parameters_for_checks = {"sise": 5}

    with pytest.raises(TypeError, match=r"Slips\.parameters_for_checks names \['sise'\].*'size'"):
        check_model(Slips, checks=["check_fit_and_predict"])


def test_declared_sums_are_summed():
    class Heads(Rows):
        attention_axes = {"time": ("lag", "head")}
        attention_sums = {"time": ("lag", "head")}

        def attend(self, x):
            weights = super().attend(x)["time"]
            return {"time": torch.stack((weights, 3 * weights), -1) / 4}

    class HeadsRegressor(RowsRegressor):
        def build_module(self, n_steps, n_features):
            return Heads(n_features, self.size, self.dropout)

    check_model(HeadsRegressor, checks=[SUMS])
    Heads.attention_sums = {"time": ("lag",)}
    with pytest.raises(AssertionError, match=r"sum to .*0\.25 to 0\.75 over 'lag'"):
        check_model(HeadsRegressor, checks=[SUMS])


def test_the_kit_is_imported_late_and_needs_no_pytest():
    code = (
        "import sys, skattn.testing; "
        "print(sorted({'torch', 'pytest', 'sklearn'} & set(sys.modules))); "
        "sys.modules['pytest'] = None; "
        "print(skattn.testing.check_model('gru', checks=['check_pickle'])[0]['status'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "passed"]
