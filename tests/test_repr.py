"""Estimators as text and in notebooks: short, whole, escaped, and with what a fit was."""

from __future__ import annotations

import pickle
from html.parser import HTMLParser
from itertools import zip_longest

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import estimator_html_repr
from skorch.callbacks import EpochScoring, LRScheduler
from torch.optim.lr_scheduler import StepLR

from skattn.compose import CrossSectionalTarget
from skattn.models import ALSTMRegressor, GRURegressor, HISTRegressor
from skattn.preprocessing import Alpha360, RobustZScore

DAYS = pd.bdate_range("2014-01-02", "2023-12-29")
SECTORS = pd.Series(np.arange(300) % 11, index=[f"S{i:03d}" for i in range(300)])
TALL = "2,607 days, 2014-01-02 to 2023-12-29"
WIDE = "300 stocks in 11 concepts"
# Elements of HTML and SVG that have no end.
VOID = {"br", "input", "img"}


class Reader(HTMLParser):
    """Read HTML, and see that every element ends where it should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.summaries: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if dict(attrs).get("class") == "skattn-summary":
            self.summaries.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.summaries and "dl" in self.open and "svg" not in self.open:
            self.summaries[-1] += data + "\n"

    def attributes(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def facts(estimator) -> dict[str, str]:
    """The summary of the one fitted regressor in a diagram."""
    (summary,) = Reader(estimator_html_repr(estimator)).summaries
    lines = summary.strip().split("\n")
    return dict(zip_longest(lines[::2], lines[1::2], fillvalue=""))


def summarized() -> dict[str, tuple]:
    concepts = pd.get_dummies(SECTORS, dtype=float)
    return {
        "calendar": (Alpha360(calendar=DAYS), f"Alpha360(calendar=<{TALL}>)"),
        "calendar-array": (Alpha360(calendar=DAYS.values), f"Alpha360(calendar=<{TALL}>)"),
        "calendar-list": (Alpha360(calendar=list(DAYS)), f"Alpha360(calendar=<{TALL}>)"),
        "texts": (
            Alpha360(calendar=[str(day) for day in DAYS]),
            "Alpha360(calendar=<list of 2,607 items>)",
        ),
        "series": (HISTRegressor(concepts=SECTORS), f"HISTRegressor(concepts=<{WIDE}>)"),
        "mapping": (HISTRegressor(concepts=dict(SECTORS)), f"HISTRegressor(concepts=<{WIDE}>)"),
        "frame": (HISTRegressor(concepts=concepts), f"HISTRegressor(concepts=<{WIDE}>)"),
        "purge": (
            GRURegressor(purge=pd.Series(DAYS, index=DAYS)),
            f"GRURegressor(purge=<{TALL}>)",
        ),
        "weights": (
            GRURegressor(pretrained={"rnn.bias": torch.zeros(50)}),
            "GRURegressor(pretrained=<dict of 1 item>)",
        ),
        "callbacks": (
            GRURegressor(callbacks=[LRScheduler(StepLR, step_size=3), EpochScoring("r2")]),
            "GRURegressor(callbacks=<list of LRScheduler, EpochScoring>)",
        ),
        "small": (
            HISTRegressor(concepts={"KO": "drinks"}, lr=0.1),
            "HISTRegressor(concepts={'KO': 'drinks'}, lr=0.1)",
        ),
    }


@pytest.mark.parametrize("name", summarized())
def test_large_parameters_are_summed_up(name):
    model, expected = summarized()[name]
    assert " ".join(repr(model).split()) == expected
    for nested in (
        make_pipeline("passthrough", model),
        Pipeline([("p", make_pipeline("passthrough", model))]),
        GridSearchCV(make_pipeline("passthrough", model), {}),
    ):
        text = repr(nested)
        assert len(text.splitlines()) <= 8
        assert expected.partition("(")[2] in " ".join(text.split())
        assert "dtype" not in text
    page = estimator_html_repr(make_pipeline("passthrough", model))
    summary = expected.partition("=<")[2].rstrip(">)")
    texts = [text.strip() for text in Reader(page).text]
    assert summary in texts or name == "small"
    assert "[summary" not in page


def test_the_pipeline_of_the_issue_is_short():
    pipeline = make_pipeline(
        Alpha360(calendar=DAYS), RobustZScore(), HISTRegressor(concepts=SECTORS)
    )
    assert len(repr(pipeline).splitlines()) == 5
    target = CrossSectionalTarget(pipeline)
    assert TALL in " ".join(repr(target).split())
    with config_context(print_changed_only=False):
        # scikit-learn leaves out the middle of what is longer than 700 characters.
        assert WIDE in pipeline.__repr__(N_CHAR_MAX=9999)


def test_parameters_stay_what_they_are():
    model = HISTRegressor(concepts=SECTORS, callbacks=[EpochScoring("r2")])
    repr(make_pipeline(model))
    assert model.get_params()["concepts"] is SECTORS
    assert model.concepts is SECTORS
    assert make_pipeline(model).get_params()["histregressor__concepts"] is SECTORS
    pd.testing.assert_series_equal(clone(model).concepts, SECTORS)
    assert clone(Alpha360(calendar=DAYS)).calendar.equals(DAYS)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.dates() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=60,
    )
)
def test_whatever_a_parameter_is_its_text_is_short(value):
    model = GRURegressor(pretrained=value)
    if not isinstance(value, str):
        assert len("".join(repr(model).split())) <= 140
    Reader(estimator_html_repr(model))


def test_an_object_that_cannot_be_shown():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no repr")

    assert repr(GRURegressor(pretrained=Broken())) == "GRURegressor(pretrained=<Broken>)"


@pytest.fixture(scope="module")
def pipeline(market):
    model = HISTRegressor(
        concepts=market.concepts, hidden_size=4, num_layers=1, max_epochs=5, random_state=0
    )
    steps = make_pipeline(Alpha360(length=5), RobustZScore(), model)
    return steps.fit(market.ohlcv, market.label)


def test_the_summary_says_what_a_fit_was(market, pipeline):
    found, model = facts(pipeline), pipeline[-1]
    labelled = market.label.dropna()
    days = labelled.index.get_level_values("datetime")
    assert found["fitted on"] == (
        f"12 stocks, {days.nunique()} days ({days.min().date()} to {days.max().date()}), "
        f"{len(labelled):,} rows with a label, windows of 5 steps x 5 features"
    )
    ic = model.history_["valid_ic"]
    assert found["training"].startswith(
        f"{model.n_iter_} epochs, best is epoch {ic.idxmax()}, valid_ic {ic.max():.4g}, "
    )
    seconds = f"{model.history_['dur'].median():.2g}"
    assert found["training"].endswith(f"{seconds} s an epoch on cpu")
    changed = found["parameters"].split(", ")
    assert {"hidden_size=4", "num_layers=1", "max_epochs=5", "random_state=0"} < set(changed)
    assert any(text.startswith("concepts=<12 stocks in ") for text in changed)
    assert len(changed) == 5


def test_the_summary_is_in_every_diagram(market, pipeline, windows):
    target = CrossSectionalTarget(clone(pipeline)).fit(market.ohlcv, market.label)
    search = GridSearchCV(small(), {"lr": [0.01]}, cv=KFold(2), scoring="r2").fit(*windows)
    for fitted in (pipeline[-1], pipeline, search, target, make_pipeline(target)):
        assert set(facts(fitted)) == {"parameters", "fitted on", "training", "loss"}
        page = fitted._repr_mimebundle_()["text/html"]
        assert "skattn-summary" in page
        assert "Fitted attributes" in page
        assert "skattn-summary" in fitted._repr_html_()
    # This diagram is of a fitted estimator, but shows the regressor that was given.
    bag = BaggingRegressor(small(), n_estimators=1).fit(windows[0][:, :, 0], windows[1].to_numpy())
    assert not Reader(estimator_html_repr(bag)).summaries
    with config_context(display="text"):
        assert list(pipeline._repr_mimebundle_()) == ["text/plain"]


def small(**params) -> ALSTMRegressor:
    return ALSTMRegressor(**{"hidden_size": 4, "max_epochs": 3, "random_state": 0, **params})


def test_the_sparkline_has_the_shape_of_the_loss(windows):
    model = small(max_epochs=9).fit(*windows)
    reader = Reader(estimator_html_repr(model))
    (svg,) = reader.attributes("svg")
    assert svg["role"] == "img"
    assert svg["aria-label"] in reader.text  # the title
    assert f"epochs 1 to 9, best epoch {model.history_['valid_loss'].idxmin()}" in svg["aria-label"]
    assert svg["stroke"] == "currentColor"
    train, valid = (
        np.array([point.split(",") for point in line["points"].split()], dtype=float)
        for line in reader.attributes("polyline")
    )
    losses = model.history_[["train_loss", "valid_loss"]].to_numpy()
    for line, values in ((train, losses[:, 0]), (valid, losses[:, 1])):
        assert (np.diff(line[:, 0]) > 0).all()
        # Up is down in SVG: the order of heights is the opposite of that of losses.
        np.testing.assert_array_equal(line[:, 1].argsort()[::-1], values.argsort())
    both = np.vstack([train, valid])
    width, height = float(svg["width"]), float(svg["height"])
    assert both.min() >= 0
    assert both[:, 0].max() <= width
    assert both[:, 1].max() <= height
    assert both[:, 1].max() - both[:, 1].min() > height / 2
    (dot,) = reader.attributes("circle")
    np.testing.assert_allclose([float(dot["cx"]), float(dot["cy"])], valid[valid[:, 1].argmax()])


def test_the_summary_is_short(windows):
    model = small(max_epochs=400, early_stopping=False, callbacks=[EpochScoring("r2")] * 9)
    model.fit(windows[0][:20], windows[1][:20])
    page = estimator_html_repr(model)
    summary = page[page.index("<dl") : page.index("</dl>")]
    assert "400 epochs" in summary
    assert len(summary) < 5_000


def test_texts_are_escaped(windows, tmp_path, monkeypatch):
    X, y = windows
    monkeypatch.chdir(tmp_path)
    concepts = dict.fromkeys("ABCDE", "<i>")
    model = HISTRegressor(concepts=concepts, hidden_size=4, max_epochs=1, checkpoint="<b>&amp;")
    page = estimator_html_repr(model.fit(X, y))
    assert "<b>" not in page.replace("<b>In a Jupyter", "")
    assert "<i>" not in page
    assert "&amp;amp;" in page
    assert f"concepts={concepts}" in facts(model)["parameters"]
    assert "<b>&amp;" in facts(model)["parameters"]


def no_days(windows):
    X, y = windows
    return small().fit(X, y.to_numpy())


def partly(windows):
    X, y = windows
    model = small().partial_fit(X, y)
    return model.partial_fit(X[:50], y[:50])


def warm(windows):
    X, y = windows
    return small(warm_start=True).fit(X, y).fit(X[:100], y[:100])


def pickled(windows):
    return pickle.loads(pickle.dumps(small().fit(*windows)))


def of_an_older_version(windows):
    model = small().fit(*windows)
    del model.__dict__["fitted_on_"]
    model.history_ = model.history_.drop(columns="lr")
    return pickled_again(model)


def pickled_again(model):
    return pickle.loads(pickle.dumps(model))


def with_a_gap(windows):
    model = small().fit(*windows)
    model.history_["valid_loss"] = np.nan
    return model


def changed_afterwards(windows):
    return small().fit(*windows).set_params(monitor=["no monitor"], loss=None)


DAYS_OF_WINDOWS = "5 stocks, 40 days (2024-01-01 to 2024-02-09), 200 rows with a label, "
SHAPE = "windows of 8 steps x 3 features"


@pytest.mark.parametrize(
    ("make", "on", "training"),
    [
        (no_days, f"200 rows with a label, {SHAPE}", "3 epochs, last train_loss"),
        (
            partly,
            f"5 stocks, 10 days (2024-01-01 to 2024-01-10), 50 rows with a label, {SHAPE}",
            "2 epochs, last train_loss",
        ),
        (
            warm,
            f"5 stocks, 20 days (2024-01-01 to 2024-01-20), 100 rows with a label, {SHAPE}",
            "6 epochs, best is epoch",
        ),
        (pickled, DAYS_OF_WINDOWS + SHAPE, "3 epochs, best is epoch"),
        (of_an_older_version, SHAPE, "3 epochs, best is epoch"),
        (with_a_gap, DAYS_OF_WINDOWS + SHAPE, "3 epochs, last train_loss"),
        (changed_afterwards, DAYS_OF_WINDOWS + SHAPE, "3 epochs, last train_loss"),
    ],
)
def test_every_fit_has_a_summary(windows, make, on, training):
    found = facts(make(windows))
    assert found["fitted on"] == on
    assert found["training"].startswith(training)


def test_what_is_not_fitted_has_scikit_learns_own_diagram(windows):
    fitted = small().fit(*windows)
    for model in (small(), clone(fitted), make_pipeline(small())):
        page = Reader(estimator_html_repr(model))
        assert not page.summaries
        assert not page.attributes("svg")


def test_a_failed_fit_says_nothing_of_its_rows(windows):
    X, y = windows
    model = small(warm_start=True).fit(X, y)
    before = dict(model.fitted_on_)
    with pytest.raises(ValueError, match="freeze"):
        model.set_params(freeze=("nothing",)).fit(X[:100], y[:100])
    assert dict(model.fitted_on_) == before
    with pytest.raises(ValueError, match="freeze"):
        model.set_params(warm_start=False).fit(X[:100], y[:100])
    assert not hasattr(model, "fitted_on_")


def test_unlabelled_rows_do_not_count(windows):
    X, y = windows
    y = y.copy()
    y[:10] = np.nan
    on = small().fit(X, y).fitted_on_
    assert (on.n_rows, on.n_days, on.n_stocks) == (190, 38, 5)
    assert (on.first_day, on.last_day) == (pd.Timestamp("2024-01-03"), pd.Timestamp("2024-02-09"))
