"""Translation of qlib's workflows: YAML files with the data, the model and the segments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Bunch

from skattn.compose import CrossSectionalTarget
from skattn.model_selection import DateSplit
from skattn.parameters import shown
from skattn.qlib._files import check_path
from skattn.qlib._find_model import NoModelError, Translation, find_model
from skattn.qlib._handlers import Features, find_dataset, reshape, translate_handler
from skattn.qlib._settings import Ledger, Section, check_size, first_day, last_day
from skattn.qlib._yaml import read_yaml
from skattn.utils import takes_unlabelled

PROVIDER = "~/.qlib/qlib_data/cn_data"
SEGMENTS = ("train", "valid", "test")

ELSEWHERE = {
    "task.record": "qlib's reports after training; see skattn.metrics.signal_report",
    "qlib_init": "how qlib runs",
    "port_analysis_config": "a backtest; skattn has no backtest",
    "sys": "where qlib finds code",
    "experiment_name": "where qlib keeps its reports",
}
DEFINITION = "qlib and skattn read it where task refers to it"


def load_workflow(path_or_dict: str | os.PathLike | Mapping[str, Any]) -> Bunch:
    """Translate a workflow of qlib to a pipeline, its label, its split and its data.

    Parameters
    ----------
    path_or_dict : path or mapping
        A YAML file such as qlib's ``examples/benchmarks/*/workflow_config_*.yaml``, or its content.
        PyYAML reads the file, plain values only. As in qlib, ``1e-3`` is a number.

    Returns
    -------
    workflow : Bunch
        - ``pipeline``: an unfitted Pipeline from a table of prices to predictions: the handler's
          features, its processors, the windows, and the model as step "model". Without a model, the
          Pipeline ends with the windows, or with the columns of Alpha158.
        - ``model``: the unfitted regressor of the step "model" (the regressor within, if the step
          is a CrossSectionalTarget). None if nobody has the model; ``untranslated["task.model"]``
          then has the reason.
        - ``label``: a callable that makes the label of a table
          (``functools.partial(make_label, ...)``).
        - ``cv``: a DateSplit with the segments.
        - ``data``: arguments of :func:`read_provider`.
        - ``translated``: dict from the dotted path of each translated key to its translation.
        - ``untranslated``: dict from the dotted path of every other key to the reason.

        Dotted paths include the positions of list elements. Every key of the workflow is in
        ``translated`` or ``untranslated``. Defaults of qlib that are not translated also have
        paths in ``untranslated``.

    Raises
    ------
    ValueError, TypeError
        A handler or dataset is not supported, a value is of the wrong kind or out of range, a key
        is missing, or segments overlap: the message names the key and says what is allowed. Or the
        file is not YAML, names a key twice, is a jinja template, or has more than 10,000 keys.
    FileNotFoundError
        The file does not exist.

    Notes
    -----
    *Days.* A text with a year or month means all its days. A segment ``["2010", "2012-06"]`` goes
    from the first of January to the end of June.

    *Models.* ALSTM, GRU, LSTM and TransformerModel are supported for DatasetH and for TSDatasetH
    (``_ts``), and also SFM and HIST. Settings that a workflow leaves out have qlib's defaults, not
    skattn's. Files of settings are searched in the working directory, then beside the YAML file.

    A plugin's model is taken for the classes that its spec names in ``ModelSpec(qlib=...)``, such
    as GATs or LocalformerModel; of several models that name a class, the first of
    :func:`skattn.list_models`. Settings of training (n_epochs, early_stop, ...) have the same
    meaning as above, ``ModelSpec(qlib_parameters=...)`` renames settings, and other settings set
    the parameter of their name. What a workflow leaves out has the plugin's defaults. Without
    ``d_feat``, a step has all features of a row.

    LGBModel becomes ``lightgbm.LGBMRegressor`` on the columns of the features, if lightgbm is
    installed. A CrossSectionalTarget around it drops the rows without a label, which LightGBM takes
    for 0.

    For any other class there is no model, and everything else is translated. A model of your own
    completes the pipeline::

        mine = CrossSectionalTarget(MyRegressor(), "rank")  # the method: untranslated["task.model"]
        pipeline = Pipeline([*workflow.pipeline.steps, ("model", mine)])

    *Handlers.* Alpha158 and Alpha360 are supported. With a DatasetH, the model gets the windows of
    Alpha360, or the columns of Alpha158 as one step. If ``d_feat`` divides the number of columns,
    the columns become several steps by position. With a TSDatasetH, the model gets windows of
    ``step_len`` rows, filled as qlib's models require ("ffill+bfill").

    Alpha360, and VWAP0 of Alpha158, need a vwap. If the folder has no vwap, remove the field from
    ``data["fields"]`` and set the handler's ``vwap="typical"``.

    *Processors.* A processor is translated if skattn or scikit-learn has an equivalent step. A
    constant column becomes 0 in ZScoreNorm and MinMaxNorm; qlib leaves the column unchanged.
    ProcessInf has no effect, because features have no infinite values. Scaling of the label within
    its day becomes a CrossSectionalTarget around the model.

    *The valid segment.* qlib monitors the valid segment for early stopping. ``pipeline.fit(X, y)``
    monitors the last days of its rows. The share of these days is the valid segment's share of
    train and valid, so with the rows of both segments, ``fit`` monitors the valid segment. The
    processors then learn from all rows. To pass the valid segment by name as in qlib, so that the
    processors learn nothing from it::

        sklearn.set_config(enable_metadata_routing=True)
        rows = workflow.cv.segments(X, y)
        train, valid = rows["train"], rows["valid"]
        workflow.pipeline.set_params(transform_input=["X_val"])
        workflow.pipeline.fit(
            X.iloc[train], y.iloc[train], X_val=X.iloc[valid], y_val=y.iloc[valid]
        )

    Without a valid segment, training runs all epochs. LightGBM stops early only if it gets the
    valid segment by name, after ``set_params(model__regressor__early_stopping_round=50)``; a plain
    ``fit`` trains all rounds.

    *The test segment.* The first windows of the test segment reach back over earlier rows. Predict
    all rows and keep the test rows:
    ``pd.Series(pipeline.predict(ohlcv), ohlcv.index).iloc[rows["test"]]``. If only the test rows
    are passed, as in ``cross_validate``, the rows between the training rows and the test rows are
    missing from the windows.

    *Differences from qlib.* ``cv`` purges the days whose labels reach into the next segment; qlib
    keeps such days. The last batch of an epoch is kept; qlib drops the batch. The lookback ends at
    the first row of the table; qlib also reads prices before ``start_time``, and prices of a stock
    before the stock joined the market. To use earlier prices, read more rows, and leave the
    additional rows unlabelled, which makes them context::

        members = read_provider(**workflow.data).index
        codes = list(members.unique("instrument"))
        ohlcv = read_provider(uri, codes, workflow.data["fields"], earlier, end)
        y = workflow.label(ohlcv).where(ohlcv.index.isin(members))

    References
    ----------
    qlib, ``qlib/cli/run.py`` and ``examples/benchmarks``.

    Examples
    --------
    >>> from skattn.qlib import load_workflow
    >>> handler = {
    ...     "class": "Alpha360",
    ...     "module_path": "qlib.contrib.data.handler",
    ...     "kwargs": {
    ...         "instruments": "csi300",
    ...         "infer_processors": [{"class": "RobustZScoreNorm"}, {"class": "Fillna"}],
    ...         "label": ["Ref($close, -2) / Ref($close, -1) - 1"],
    ...     },
    ... }
    >>> segments = {
    ...     "train": ["2008-01-01", "2014-12-31"],
    ...     "valid": ["2015-01-01", "2016-12-31"],
    ...     "test": ["2017-01-01", "2020-08-01"],
    ... }
    >>> config = {
    ...     "qlib_init": {"provider_uri": "~/.qlib/qlib_data/cn_data", "region": "cn"},
    ...     "task": {
    ...         "model": {
    ...             "class": "GRU",
    ...             "module_path": "qlib.contrib.model.pytorch_gru",
    ...             "kwargs": {"hidden_size": 32, "GPU": 0},
    ...         },
    ...         "dataset": {
    ...             "class": "DatasetH",
    ...             "module_path": "qlib.data.dataset",
    ...             "kwargs": {"handler": handler, "segments": segments},
    ...         },
    ...     },
    ... }
    >>> workflow = load_workflow(config)
    >>> [name for name, _ in workflow.pipeline.steps]
    ['alpha360', 'robustzscore', 'model']
    >>> workflow.pipeline["model"].regressor.batch_size  # qlib's default
    2000
    >>> workflow.data["fields"]
    ['open', 'high', 'low', 'close', 'volume', 'vwap']
    >>> workflow.untranslated["qlib_init.region"]
    'how qlib runs'

    Then ``ohlcv = read_provider(**workflow.data)``, ``y = workflow.label(ohlcv)`` and
    ``workflow.pipeline.fit(ohlcv, y)``.
    """
    config, folder = path_or_dict, None
    if isinstance(path_or_dict, str | os.PathLike):
        path = check_path("path_or_dict", path_or_dict)
        config, folder = read_yaml(path), path.parent
    if not isinstance(config, Mapping):
        raise TypeError(f"path_or_dict must be a path or a mapping; got {shown(path_or_dict)}.")
    if "BASE_CONFIG_PATH" in config:
        raise ValueError(
            "BASE_CONFIG_PATH: load_workflow cannot read a workflow on top of another workflow. "
            "Merge the two into one file."
        )
    check_size("The mapping" if folder is None else str(path_or_dict), config)
    ledger = Ledger()
    whole = Section("", config, ledger)
    task = whole.section("task")
    model_section, dataset = task.section("model"), task.section("dataset")

    series = find_dataset(dataset)
    settings = dataset.section("kwargs")
    handler = settings.section("handler")
    segments, cv = _read_segments(settings.section("segments"))
    translation: Translation | None
    try:
        translation, reason = find_model(model_section), ""
    except NoModelError as why:
        translation, reason = None, str(why)
    if translation is not None and translation.series != series:
        raise ValueError(
            f"{dataset.at('class')}: {model_section.values['class']} of "
            f"{model_section.values['module_path']} reads "
            f"{'TSDatasetH' if translation.series else 'DatasetH'}."
        )
    windows = translation is None or translation.windows
    features = translate_handler(handler, columns=series or not windows)
    kwargs = model_section.section("kwargs", {})
    model, d_feat = None, None
    if translation is not None:
        model, d_feat = translation.make(kwargs, folder, _stopping(segments))
    steps = features.steps
    if series or (model is not None and windows):
        steps += reshape(
            features,
            series=settings if series else None,
            d_feat=d_feat,
            at=kwargs.at("d_feat"),
            alpha360=handler.values["class"].startswith("Alpha360"),
        )
    steps = make_pipeline(*steps).steps
    if model is None:
        _tell_why(task, reason, features.label_method)
    else:
        steps.append(("model", _for_labels(model, features.label_method)))
    _tell_fit_days(handler, features, segments["train"])

    init = whole.section("qlib_init", {})
    data = {"uri": init.read("provider_uri", _read_uri, PROVIDER, into="uri"), **features.data}
    settings.skip_rest("skattn has no such dataset setting")
    _account_for_the_rest(whole)
    return Bunch(
        pipeline=Pipeline(steps),
        model=model,
        label=features.label,
        cv=cv,
        data=data,
        translated=ledger.translated,
        untranslated=ledger.untranslated,
    )


def _read_segments(section: Section) -> tuple[dict[str, tuple], DateSplit]:
    """Read the segments as pairs of days in order of time, and make the split."""

    def pair(value: Any) -> tuple[pd.Timestamp | None, ...]:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise ValueError("a pair of days")
        return tuple(
            None if each is None else check(each)
            for each, check in zip(value, (first_day, last_day), strict=True)
        )

    found = {
        name: section.read(name, pair, into="cv")
        for name in SEGMENTS
        if name == "train" or section.values.get(name) is not None
    }
    last, before = None, ""
    for name, (first, end) in found.items():
        if first is not None and end is not None and first > end:
            raise ValueError(f"{section.at(name)} ends before it begins: {first} to {end}.")
        if before and (last is None or first is None or first <= last):
            raise ValueError(
                f"{section.at(name)} must begin after {section.at(before)} ends; got "
                f"{shown(section.values[before])} and then {shown(section.values[name])}."
            )
        last, before = end, name
    if len(found) == 1:
        raise ValueError(f"{section.path} must have valid or test in addition to train.")
    section.skip_rest("a segment beyond train, valid and test")
    return found, DateSplit(**found)


def _stopping(segments: dict[str, tuple]) -> dict[str, Any]:
    """Make the parameters of early stopping from the share of the valid segment."""
    if "valid" not in segments:
        return {"early_stopping": False}
    days = {}
    for name in ("train", "valid"):
        first, last = segments[name]
        if first is None or last is None:
            return {}
        # The calendar is not read yet, so weekdays stand for trading days.
        ends = np.array([first, last + pd.Timedelta(days=1)], dtype="datetime64[D]")
        days[name] = max(int(np.busday_count(*ends)), 1)
    return {"validation_fraction": round(days["valid"] / sum(days.values()), 4)}


def _for_labels(model: Any, method: str | None) -> Any:
    """Let ``fit`` take labels as the workflow has them, and the valid segment by name."""
    taken = signature(model.fit).parameters
    with config_context(enable_metadata_routing=True):
        # Takes effect only with metadata routing enabled: see the notes on the valid segment.
        if {"X_val", "y_val"} <= set(taken):
            model.set_fit_request(X_val=True, y_val=True)
        elif {"eval_X", "eval_y"} <= set(taken):
            model.set_fit_request(eval_X="X_val", eval_y="y_val")
    if method is None and takes_unlabelled(model):
        return model
    return CrossSectionalTarget(model, method)


def _tell_why(task: Section, reason: str, method: str | None) -> None:
    """Record why there is no model, and what goes around a model of the user's own."""
    reason = f"{reason.rstrip('.')}."
    if method is not None:
        reason += (
            f" A model of your own goes to the end of the pipeline as "
            f"CrossSectionalTarget(model, {method!r}), which scales the label as qlib does."
        )
    task.skip("model", f"there is no model: see {task.at('model')}")
    task.ledger.untranslated[task.at("model")] = reason


def _tell_fit_days(handler: Section, features: Features, train: tuple) -> None:
    """Record if qlib's processors learn from other days than the training days."""
    kwargs = handler.section("kwargs", {})
    for key, wanted, day_of_train in zip(
        ("fit_start_time", "fit_end_time"), features.fit_days, train, strict=True
    ):
        if wanted is not None and wanted != day_of_train:
            kwargs.skip(
                key,
                f"processors learn from the rows that fit gets; the train segment has the day "
                f"{None if day_of_train is None else day_of_train.date()} here",
            )


def _read_uri(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("day", value.get("1day"))
    if not isinstance(value, str | os.PathLike):
        raise ValueError("the path of a folder, or a mapping of 'day' to such a path")
    return str(value)


def _account_for_the_rest(whole: Section) -> None:
    """Record a reason for every key that is still unread."""
    task = whole.section("task")
    for key in task.values:
        part = Section("task", {key: task.values[key]}, task.ledger)
        part.skip_rest(ELSEWHERE.get(f"task.{key}", "skattn has no such setting"))
    for key in whole.values:
        part = Section("", {key: whole.values[key]}, whole.ledger)
        part.skip_rest(ELSEWHERE.get(str(key), DEFINITION))
