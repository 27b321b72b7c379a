"""Translation of qlib's LightGBM model to lightgbm's regressor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from skattn.parameters import InvalidParameterError, check_value
from skattn.qlib._settings import Check, Section, number, one_of, text, whole


class Setting(NamedTuple):
    """A setting: the regressor's parameter, the check of its kind, and the bounds."""

    parameter: str
    check: Check = whole
    bounds: dict[str, float] = {}


_share = partial(Setting, check=number, bounds={"above": 0, "at_most": 1})
_positive = partial(Setting, check=number, bounds={"at_least": 0})
_rounds = Setting("n_estimators", bounds={"at_least": 1})

# Settings that LGBMRegressor knows by another name, or whose values have bounds. LightGBM takes
# all others by their own name.
SETTINGS = {
    "loss": Setting("objective", one_of({"mse": "mse"})),
    "objective": Setting("objective", text),
    "num_boost_round": _rounds,
    "num_iterations": _rounds,
    "n_estimators": _rounds,
    "learning_rate": Setting("learning_rate", number, {"above": 0}),
    "eta": Setting("learning_rate", number, {"above": 0}),
    "num_leaves": Setting("num_leaves", bounds={"at_least": 2, "at_most": 131072}),
    "max_depth": Setting("max_depth"),
    "colsample_bytree": _share("colsample_bytree"),
    "feature_fraction": _share("colsample_bytree"),
    "subsample": _share("subsample"),
    "bagging_fraction": _share("subsample"),
    "subsample_freq": Setting("subsample_freq"),
    "bagging_freq": Setting("subsample_freq"),
    "lambda_l1": _positive("reg_alpha"),
    "reg_alpha": _positive("reg_alpha"),
    "lambda_l2": _positive("reg_lambda"),
    "reg_lambda": _positive("reg_lambda"),
    "min_gain_to_split": _positive("min_split_gain"),
    "min_data_in_leaf": Setting("min_child_samples", bounds={"at_least": 0}),
    "min_sum_hessian_in_leaf": _positive("min_child_weight"),
    "num_threads": Setting("n_jobs"),
    "n_jobs": Setting("n_jobs"),
    "seed": Setting("random_state"),
    "verbose": Setting("verbosity"),
    "verbosity": Setting("verbosity"),
}
# qlib's defaults, where they are not LightGBM's.
DEFAULTS = {"objective": "mse", "n_estimators": 1000, "verbosity": -1}
PATIENCE = 50


def import_lightgbm() -> Any:
    """Import LGBMRegressor.

    Raises
    ------
    ImportError
        lightgbm is not installed, or cannot be loaded.
    """
    try:
        from lightgbm import LGBMRegressor
    except ModuleNotFoundError as error:
        raise ImportError("LightGBM is not installed: pip install lightgbm.") from error
    except (ImportError, OSError) as error:
        # Its library is there, and one that it needs (OpenMP's) is not.
        raise ImportError(f"LightGBM cannot be loaded: {error}.") from error
    return LGBMRegressor


def make_lightgbm(
    kwargs: Section, folder: Path | None, stopping: dict[str, Any]
) -> tuple[Any, None]:
    """Make the unfitted regressor; LightGBM has no number of features per step."""
    parameters: dict[str, Any] = {}
    settings: dict[str, object] = {}
    patience = kwargs.read("early_stopping_rounds", whole, PATIENCE)
    for key in kwargs.values:
        if key == "early_stopping_rounds":
            continue
        setting = SETTINGS.get(key, Setting(str(key), lambda value: value))
        name = setting.parameter
        if name in settings:
            raise ValueError(
                f"{kwargs.at(settings[name])} and {kwargs.at(key)} both set {name}; leave one out."
            )
        settings[name] = key
        parameters[name] = value = kwargs.read(key, setting.check, into=name)
        if setting.bounds:
            kind = "int" if setting.check is whole else "float"
            try:
                check_value(name, value, kind, **setting.bounds)
            except InvalidParameterError as error:
                raise ValueError(f"{kwargs.at(key)}: {error}") from None
    parameters = {**DEFAULTS, **parameters}
    kwargs.skip(
        "early_stopping_rounds",
        f"fit(X, y) has no valid segment, and trains all {parameters['n_estimators']} rounds. To "
        f"stop early as qlib does, set_params(model__regressor__early_stopping_round={patience}) "
        f"and pass X_val and y_val, as the notes on the valid segment say (lightgbm 4.7 or later)",
    )
    return import_lightgbm()(**parameters), None
