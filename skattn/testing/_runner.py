"""All checks of a model, one after the other, or as tests of pytest."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from unittest import SkipTest

from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.utils.estimator_checks import estimator_checks_generator

from skattn.base import CrossSectionalRegressor, SequenceRegressor
from skattn.parameters import check_value, shown
from skattn.plugins import get_model
from skattn.testing._attention import ATTENTION, ATTENTION_OVER_STOCKS
from skattn.testing._data import small
from skattn.testing._days import CROSS_SECTIONAL
from skattn.testing._inputs import INPUTS
from skattn.testing._lifecycle import LIFECYCLE
from skattn.testing._outputs import OUTPUTS
from skattn.testing._parameters import PARAMETERS
from skattn.testing._rows import EVERY, FIRST, ROWS
from skattn.testing._seeds import SEEDS
from skattn.testing._signal import SIGNAL

Check = Callable[[SequenceRegressor], None]

# Epochs of scikit-learn's checks, and of the one that scores the fit: most models need the first
# number.
EPOCHS, SCORED, SCORED_EPOCHS = 5, "check_regressors_train", (30, 120)
# scikit-learn wants the weights of rows to equal repeated rows to 1e-7, which takes double
# precision, and batches of all rows; and predictions of several outputs in double precision.
DOUBLE = {
    "check_sample_weight_equivalence_on_dense_data": 1024,
    "check_regressor_multioutput": 64,
}


@dataclass(frozen=True)
class ScikitLearnCheck:
    """One of scikit-learn's checks, on a small copy of the model.

    Parameters
    ----------
    check : functools.partial
        As scikit-learn gives it.
    """

    check: Any

    @property
    def __name__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.check.keywords.items())
        return f"{self.check.func.__name__}({given})" if given else self.check.func.__name__

    def __call__(self, estimator: SequenceRegressor) -> None:
        """Run the check."""
        with warnings.catch_warnings():
            # scikit-learn's data has no days.
            warnings.filterwarnings("ignore", ".*looks across the stocks of a day", UserWarning)
            if batch_size := DOUBLE.get(self.check.func.__name__):
                # Rows that are repeated would get dropout masks of their own.
                masks = dict.fromkeys((p for p in estimator.get_params() if "dropout" in p), 0.0)
                model = small(estimator, max_epochs=EPOCHS, batch_size=batch_size)
                self.check(model.set_params(precision="float64", **masks))
                return
            if self.check.func.__name__ != SCORED:
                self.check(small(estimator, max_epochs=EPOCHS, batch_size=64))
                return
            try:
                self.check(small(estimator, max_epochs=SCORED_EPOCHS[0], batch_size=16))
            except AssertionError:
                self.check(small(estimator, max_epochs=SCORED_EPOCHS[1], batch_size=16))


def model_checks(
    estimator: SequenceRegressor | type | str, *, scikit_learn: bool = True
) -> Iterator[tuple[str, Check]]:
    """Give the checks of a model.

    Parameters
    ----------
    estimator : SequenceRegressor, class of one, or name of a registered model
        The model. An instance is checked with its parameters.
    scikit_learn : bool, default=True
        Whether scikit-learn's checks are among them.

    Yields
    ------
    name : str
        Name of the check.
    check : callable
        Takes the estimator; raises an AssertionError, or what the model raises, where the check
        fails, and ``unittest.SkipTest`` where it does not apply.

    Raises
    ------
    TypeError
        The estimator is no skattn regressor.
    ValueError, ImportError
        No model has this name, or it cannot be imported.

    Examples
    --------
    >>> from skattn import GRURegressor
    >>> from skattn.testing import model_checks
    >>> [name for name, check in model_checks(GRURegressor)][:2]
    ['check_fit_and_predict', 'check_forward_is_the_same_twice']
    """
    check_value("scikit_learn", scikit_learn, "bool")
    model = _instance(estimator)
    crosses = isinstance(model, CrossSectionalRegressor)
    own: Iterable[Check] = (
        *FIRST,
        *(CROSS_SECTIONAL if crosses else ROWS),
        *EVERY,
        *ATTENTION,
        *(ATTENTION_OVER_STOCKS if crosses else ()),
        *OUTPUTS,
        *SEEDS,
        *INPUTS,
        *PARAMETERS,
        *LIFECYCLE,
        *SIGNAL,
    )
    yield from ((check.__name__, check) for check in own)  # type: ignore[attr-defined]
    if scikit_learn:
        for _, check in estimator_checks_generator(model):
            wrapped = ScikitLearnCheck(check)
            yield wrapped.__name__, wrapped


def check_model(
    estimator: SequenceRegressor | type | str,
    *,
    checks: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    expected_failed_checks: Mapping[str, str] | None = None,
    scikit_learn: bool = True,
    on_fail: Literal["raise", "warn"] | None = "raise",
    on_result: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Check a model: scikit-learn's conventions and what skattn promises its users.

    A normal model takes less than a minute. Models are made small and trained for moments; a class
    names small values of its own parameters in ``parameters_for_checks``, such as
    ``{"hidden_size": 4}``. Devices are the CPU where the estimator does not name another.

    Parameters
    ----------
    estimator : SequenceRegressor, class of one, or name of a registered model
        The model. An instance is checked with its parameters, but for those of training.
    checks : sequence of str, default=None
        Names of the checks to run. None: all.
    exclude : sequence of str, default=()
        Names of checks that are not run.
    expected_failed_checks : dict of str to str, default=None
        Why a check may fail, by its name: its failure is then "xfail".
    scikit_learn : bool, default=True
        Whether scikit-learn's checks are run.
    on_fail : {"raise", "warn"} or None, default="raise"
        Whether the first check that fails raises, or each warns, or neither.
    on_result : callable, default=None
        Called with the result of each check when it has been run.

    Returns
    -------
    results : list of dict
        As of scikit-learn's ``check_estimator``, one for each check: ``estimator``,
        ``check_name``, ``exception`` (or None), ``status`` ("passed", "failed", "skipped" or
        "xfail"), ``expected_to_fail`` and ``expected_to_fail_reason``.

    Raises
    ------
    AssertionError, Exception
        A check fails, or the model raises in it, and ``on_fail="raise"``. The text says what to
        change; a note names the check.
    TypeError
        The estimator is no skattn regressor.
    ValueError, ImportError
        No model or no check has such a name, or the model cannot be imported.

    Examples
    --------
    >>> from skattn import GRURegressor
    >>> from skattn.testing import check_model
    >>> results = check_model(GRURegressor(hidden_size=4), checks=["check_pickle"])
    >>> results[0]["check_name"], results[0]["status"]
    ('check_pickle', 'passed')
    """
    check_value("on_fail", on_fail, "str | None", one_of=("raise", "warn"))
    check_value("scikit_learn", scikit_learn, "bool")
    if on_result is not None and not callable(on_result):
        raise TypeError(f"on_result must be callable or None; got {shown(on_result)}.")
    model, reasons = _instance(estimator), _reasons(expected_failed_checks)
    known = dict(model_checks(model, scikit_learn=scikit_learn))
    for argument, names in (
        ("checks", checks),
        ("exclude", exclude),
        ("expected_failed_checks", reasons),
    ):
        _refuse_unknown_names(argument, names, known)
    results = []
    for name, check in known.items():
        if (checks is not None and name not in checks) or name in exclude:
            continue
        failed: Exception | None = None
        result = {
            "estimator": model,
            "check_name": name,
            "exception": None,
            "status": "passed",
            "expected_to_fail": name in reasons,
            "expected_to_fail_reason": reasons.get(name, "Check is not expected to fail"),
        }
        try:
            check(model)
        except SkipTest as skipped:
            result |= {"exception": skipped, "status": "skipped"}
        except Exception as error:
            error.add_note(f"This is {name} of {type(model).__name__}.")
            failed = None if name in reasons else error
            result |= {"exception": error, "status": "failed" if failed else "xfail"}
        results.append(result)
        if on_result is not None:
            on_result(result)
        if failed and on_fail == "raise":
            raise failed
        if failed and on_fail == "warn":
            warnings.warn(EstimatorCheckFailedWarning(**result), stacklevel=2)
    return results


def parametrize_with_model_checks(
    estimators: Sequence[SequenceRegressor | type | str],
    *,
    expected_failed_checks: Callable[[SequenceRegressor], Mapping[str, str]] | None = None,
    scikit_learn: bool = True,
) -> Any:
    """Make a test of pytest of each check of some models.

    The tests are named after the class and the check, as in
    ``pytest -k "MyRegressor and check_pickle"``.

    Parameters
    ----------
    estimators : sequence of SequenceRegressor, classes of them, or names of registered models
        The models.
    expected_failed_checks : callable, default=None
        Takes an estimator to a dict of the names of checks that may fail, and why.
    scikit_learn : bool, default=True
        Whether scikit-learn's checks are among them.

    Returns
    -------
    decorator : pytest.mark.parametrize
        For a function of ``estimator`` and ``check``.

    Examples
    --------
    >>> from skattn import GRURegressor
    >>> from skattn.testing import parametrize_with_model_checks
    >>> @parametrize_with_model_checks([GRURegressor(hidden_size=4)])
    ... def test_my_model(estimator, check):
    ...     check(estimator)
    """
    import pytest

    if not isinstance(estimators, (list, tuple)):
        raise TypeError(f"estimators must be a list of models; got {shown(estimators)}.")
    if expected_failed_checks is not None and not callable(expected_failed_checks):
        raise TypeError(
            f"expected_failed_checks must be a function of an estimator, or None; got "
            f"{shown(expected_failed_checks)}."
        )
    cases = []
    for each in estimators:
        model = _instance(each)
        reasons = {} if expected_failed_checks is None else _reasons(expected_failed_checks(model))
        known = dict(model_checks(model, scikit_learn=scikit_learn))
        _refuse_unknown_names("expected_failed_checks", reasons, known)
        for name, check in known.items():
            marks = [pytest.mark.xfail(reason=reasons[name])] if name in reasons else []
            cases.append(
                pytest.param(model, check, id=f"{type(model).__name__}-{name}", marks=marks)
            )
    return pytest.mark.parametrize(("estimator", "check"), cases)


def _instance(estimator: Any) -> SequenceRegressor:
    if isinstance(estimator, str):
        estimator = get_model(estimator)
    if isinstance(estimator, type) and issubclass(estimator, SequenceRegressor):
        estimator = estimator()
    if not isinstance(estimator, SequenceRegressor):
        raise TypeError(
            f"estimator must be a skattn regressor, that is, of a class derived from "
            f"skattn.SequenceRegressor, or the name of a registered model; got "
            f"{shown(estimator)}. Of a Pipeline or a search, check the regressor in it."
        )
    return estimator


def _reasons(expected: Any) -> dict[str, str]:
    """Read which checks may fail, and why."""
    if expected is None:
        return {}
    if not isinstance(expected, Mapping):
        raise TypeError(
            f"expected_failed_checks must map names of checks to reasons; got {shown(expected)}."
        )
    return dict(expected)


def _refuse_unknown_names(argument: str, names: Any, known: Mapping[str, Check]) -> None:
    if names is None and argument == "checks":
        return
    if not isinstance(names, (list, tuple, set, dict)) or not all(
        isinstance(name, str) for name in names
    ):
        raise TypeError(f"{argument} must be a list of names of checks; got {shown(names)}.")
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"{argument} names {shown(name)}, which is no check of this model.{hint} "
                f"skattn.testing.model_checks gives them all."
            )
