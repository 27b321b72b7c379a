"""qlib's workflows: one YAML that says what to read, to train and to test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Bunch

from skattn.model_selection import DateSplit
from skattn.preprocessing import CrossSectionalTarget
from skattn.qlib._files import check_path
from skattn.qlib._handlers import Features, find_dataset, reshape, translate_handler
from skattn.qlib._models import find_model, make_regressor
from skattn.qlib._settings import Ledger, Section, check_size, first_day, last_day
from skattn.qlib._yaml import read_yaml

PROVIDER = "~/.qlib/qlib_data/cn_data"
SEGMENTS = ("train", "valid", "test")

ELSEWHERE = {
    "task.record": "what qlib reports after training; see skattn.metrics.signal_report",
    "qlib_init": "how qlib runs",
    "port_analysis_config": "a backtest; skattn has none",
    "sys": "where qlib finds code",
    "experiment_name": "where qlib keeps what it reports",
}
DEFINITION = "qlib reads it where task refers to it, and so does skattn"


def load_workflow(path_or_dict: str | os.PathLike | Mapping[str, Any]) -> Bunch:
    """Translate a workflow of qlib's to a pipeline, its label, its split and its data.

    Parameters
    ----------
    path_or_dict : path or mapping
        A YAML file such as qlib's ``examples/benchmarks/*/workflow_config_*.yaml`` (read with
        PyYAML, plain values only; as in qlib ``1e-3`` is a number), or what it holds.

    Returns
    -------
    workflow : Bunch
        - ``pipeline``: a Pipeline, not fitted, from a table of prices to predictions: the
          handler's features, its processors, the windows, and the model as step "model".
        - ``label``: a callable that makes the label of a table
          (``functools.partial(make_label, ...)``).
        - ``cv``: a DateSplit with the segments.
        - ``data``: arguments of :func:`read_provider`.
        - ``translated``: dict of each key, by its dotted path, to what it became.
        - ``untranslated``: dict of every other key to the reason.

        Paths are dotted, with the number of an element of a list: every key of the workflow is in
        one of the two. What qlib does by default has paths too where it is not translated.

    Raises
    ------
    ValueError, TypeError
        A class that skattn does not have, a value of the wrong kind or out of range, a key that
        is missing, segments that overlap: the text names the key and says what is allowed. Or the
        file is no YAML, names a key twice, is a jinja template, or has 10,000 keys and more.
    FileNotFoundError
        There is no such file.

    Notes
    -----
    *Days.* A year or month as text is all its days: a segment ``["2010", "2012-06"]`` goes from the
    first of January to the end of June.

    *Models.* ALSTM, GRU, LSTM and TransformerModel, for DatasetH and for TSDatasetH (``_ts``), SFM
    and HIST. What a workflow leaves out has qlib's default, not skattn's. Files of HIST are looked
    for here, then beside the YAML.

    *Handlers.* Alpha158 and Alpha360. A DatasetH gives the model the windows of Alpha360, or the
    columns of Alpha158 as one step (more, by position, where ``d_feat`` divides them); a
    TSDatasetH windows of ``step_len`` rows, filled as qlib's models ask ("ffill+bfill").

    Alpha360, and VWAP0 of Alpha158, want a vwap: where the folder has none, take it out of
    ``data["fields"]`` and set the handler's ``vwap="typical"``.

    *Processors.* Those with a step of skattn's or scikit-learn's that does the same. A constant
    column becomes 0 in ZScoreNorm and MinMaxNorm, and stays as it is in qlib. ProcessInf has
    nothing to do: features have no infinity. Scaling of the label within its day becomes a
    CrossSectionalTarget around the model.

    *The valid segment.* qlib watches it to stop. ``pipeline.fit(X, y)`` watches the last days of
    what it gets, in the share that the valid segment has of train and valid: so, given the rows of
    both, that segment. Processors learn from all rows then. To give it the valid segment by name,
    as qlib does, with nothing learned from it::

        sklearn.set_config(enable_metadata_routing=True)
        rows = workflow.cv.segments(X, y)
        train, valid = rows["train"], rows["valid"]
        workflow.pipeline.set_params(transform_input=["X_val"])
        workflow.pipeline.fit(
            X.iloc[train], y.iloc[train], X_val=X.iloc[valid], y_val=y.iloc[valid]
        )

    Without a valid segment all epochs are run.

    *The test segment.* Its first windows reach back over the rows before it: predict all rows and
    keep those of test, ``pd.Series(pipeline.predict(ohlcv), ohlcv.index).iloc[rows["test"]]``.
    Where the test rows alone are passed (as ``cross_validate`` does), what lies between the fit and
    them is missing.

    *What differs from qlib.* ``cv`` purges the days whose labels reach into the next segment; qlib
    keeps them. The last batch of an epoch is not dropped. Lookback ends where the table does: qlib
    also reads prices before ``start_time``, and those of a stock before it joined the market. To
    have them, read more, and leave the rows that do not belong unlabelled, which makes them
    context::

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
        raise TypeError(f"path_or_dict must be a path or a mapping; got {path_or_dict!r}.")
    if "BASE_CONFIG_PATH" in config:
        raise ValueError(
            "BASE_CONFIG_PATH: a workflow on top of another one is not read. Merge the two into "
            "one file."
        )
    check_size("The mapping" if folder is None else str(path_or_dict), config)
    ledger = Ledger()
    whole = Section("", config, ledger)
    task = whole.section("task")
    model_section, dataset = task.section("model"), task.section("dataset")

    series = find_dataset(dataset)
    settings = dataset.section("kwargs")
    handler = settings.section("handler")
    features = translate_handler(handler, series=series)
    segments, cv = _read_segments(settings.section("segments"))

    model = find_model(model_section)
    if model.series != series:
        raise ValueError(
            f"{dataset.at('class')}: {model.name} of {model_section.values['module_path']} reads "
            f"{'TSDatasetH' if model.series else 'DatasetH'}."
        )
    kwargs = model_section.section("kwargs", {})
    stopping = _stopping(segments)
    regressor, d_feat = make_regressor(model, kwargs, folder, **stopping)
    with config_context(enable_metadata_routing=True):
        # Only counts for who turns the routing on: see the notes on the valid segment.
        regressor.set_fit_request(X_val=True, y_val=True)
    steps = features.steps + reshape(
        features,
        series=settings if series else None,
        d_feat=d_feat,
        at=kwargs.at("d_feat"),
        alpha360=handler.values["class"].startswith("Alpha360"),
    )
    if features.label_method is not None:
        regressor = CrossSectionalTarget(regressor, features.label_method)
    _tell_fit_days(handler, features, segments["train"])

    init = whole.section("qlib_init", {})
    data = {"uri": init.read("provider_uri", _read_uri, PROVIDER, into="uri"), **features.data}
    settings.skip_rest("skattn has no such setting of a dataset")
    _account_for_the_rest(whole)
    return Bunch(
        pipeline=Pipeline([*make_pipeline(*steps).steps, ("model", regressor)]),
        label=features.label,
        cv=cv,
        data=data,
        translated=ledger.translated,
        untranslated=ledger.untranslated,
    )


def _read_segments(section: Section) -> tuple[dict[str, tuple], DateSplit]:
    """Segments as pairs of days, in their order in time, and the split."""

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
                f"{section.values[before]!r} and then {section.values[name]!r}."
            )
        last, before = end, name
    if len(found) == 1:
        raise ValueError(f"{section.path} must have valid or test besides train.")
    section.skip_rest("a segment beyond train, valid and test")
    return found, DateSplit(**found)


def _stopping(segments: dict[str, tuple]) -> dict[str, Any]:
    """Parameters of early stopping: the share of the valid segment."""
    if "valid" not in segments:
        return {"early_stopping": False}
    days = {}
    for name in ("train", "valid"):
        first, last = segments[name]
        if first is None or last is None:
            return {}
        # Weekdays stand for trading days.
        ends = np.array([first, last + pd.Timedelta(days=1)], dtype="datetime64[D]")
        days[name] = max(int(np.busday_count(*ends)), 1)
    return {"validation_fraction": round(days["valid"] / sum(days.values()), 4)}


def _tell_fit_days(handler: Section, features: Features, train: tuple) -> None:
    """Tell where the days that processors learn from are not those of training."""
    kwargs = handler.section("kwargs", {})
    for key, wanted, day_of_train in zip(
        ("fit_start_time", "fit_end_time"), features.fit_days, train, strict=True
    ):
        if wanted is not None and wanted != day_of_train:
            kwargs.skip(
                key,
                f"processors learn from the rows that fit gets; the train segment has "
                f"{None if day_of_train is None else day_of_train.date()} here",
            )


def _read_uri(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("day", value.get("1day"))
    if not isinstance(value, str | os.PathLike):
        raise ValueError("the path of a folder, or a mapping of 'day' to one")
    return str(value)


def _account_for_the_rest(whole: Section) -> None:
    """Give every key that nobody has read its reason."""
    task = whole.section("task")
    for key in task.values:
        part = Section("task", {key: task.values[key]}, task.ledger)
        part.skip_rest(ELSEWHERE.get(f"task.{key}", "skattn has no such setting"))
    for key in whole.values:
        part = Section("", {key: whole.values[key]}, whole.ledger)
        part.skip_rest(ELSEWHERE.get(str(key), DEFINITION))
