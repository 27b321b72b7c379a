"""HIST: concepts, whole days and what a user may do with them."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from skattn.datasets import make_market
from skattn.metrics import ic_score, ic_scorer, rank_ic_score
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models.gru import GRURegressor
from skattn.models.hist import HIST, HISTRegressor
from skattn.panel import WindowArray
from skattn.preprocessing import Alpha360, RobustZScore

STOCKS = [f"S{i}" for i in range(9)]
# S8 is in no concept; S7 is alone in its own.
SECTORS = pd.Series(dict(zip(STOCKS[:8], "aaabbbbc", strict=True)), name="sector")
DUMMIES = pd.get_dummies(SECTORS, dtype=float)


def small(**params) -> HISTRegressor:
    defaults = {
        "concepts": SECTORS,
        "hidden_size": 6,
        "num_layers": 1,
        "days_per_batch": 3,
        "max_epochs": 2,
        "lr": 0.01,
        "random_state": 0,
    }
    return HISTRegressor(**{**defaults, **params})


def weights(model: HISTRegressor) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in model.module_.parameters()])


def windows_of(X: np.ndarray, index: pd.MultiIndex) -> WindowArray:
    """The same windows with an index."""
    n, length, n_features = X.shape
    return WindowArray(
        X.reshape(-1, n_features), np.arange(n) * length + length - 1, length, index=index
    )


def make_panel(sizes: list[int], seed: int = 0) -> tuple[WindowArray, pd.Series]:
    """Days of several sizes, rows sorted, and a label that the sector's mean tells."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=len(sizes))
    names = STOCKS + [f"T{i}" for i in range(max(sizes) - len(STOCKS))]
    rows = [
        (day, stock)
        for day, n in zip(days, sizes, strict=True)
        for stock in sorted(rng.choice(names, n, replace=False))
    ]
    index = pd.MultiIndex.from_tuples(rows, names=["datetime", "instrument"])
    X = rng.normal(size=(len(index), 5, 2)).astype(np.float32)
    own = pd.Series(X[:, -1, 0], index=index)
    sector = index.get_level_values("instrument").map(SECTORS.to_dict()).fillna("none")
    shared = own.groupby([index.get_level_values("datetime"), sector]).transform("mean")
    return windows_of(X, index), (3 * shared - own).rename("label")


@pytest.fixture(scope="module")
def panel():
    return make_panel([9, 4, 7, 1, 8, 2, 9, 9, 5, 6, 3, 9, 8, 7, 9, 2, 6, 9, 9, 5, 8, 7, 9, 4])


@pytest.fixture(scope="module")
def fitted(panel):
    X, y = panel
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return small().fit(X, y)


quiet = pytest.mark.filterwarnings("ignore:.*belong to no concept:UserWarning")
one_day = pytest.mark.filterwarnings("ignore:HISTRegressor looks across:UserWarning")
QUICK = {"hidden_size": 8, "num_layers": 1, "max_epochs": 40, "lr": 0.03}


@quiet
def test_learns_what_other_stocks_tell():
    X, y = make_panel([9] * 120)
    days = y.index.get_level_values("datetime")
    past = days < days.unique()[90]
    params = {"max_epochs": 25, "lr": 0.03, "early_stopping": False, "num_layers": 1}
    shared = HISTRegressor(concepts=SECTORS, days_per_batch=10, random_state=0, **params)
    alone = GRURegressor(batch_size=90, random_state=0, **params)
    scores = [
        model.set_params(hidden_size=8).fit(X[past], y[past]).score(X[~past], y[~past])
        for model in (shared, alone)
    ]
    assert scores[0] > max(0, scores[1]) + 0.05


# Concepts


@quiet
def test_concepts_in_every_form(panel):
    X, y = panel
    params = {"max_epochs": 1, "early_stopping": False}
    expected = weights(small(**params).fit(X, y))
    backwards = DUMMIES[::-1]
    forms = [
        SECTORS.to_dict(),
        {**SECTORS.to_dict(), "S8": None},
        pd.concat([SECTORS, pd.Series({"S8": np.nan, "T9": "a"})]),
        SECTORS.astype("category"),
        SECTORS.astype("string"),
        SECTORS.map({"a": 1, "b": 2, "c": 3}),
        SECTORS.sample(frac=1, random_state=0),
        SECTORS.set_axis(pd.CategoricalIndex(SECTORS.index)),
        DUMMIES,
        DUMMIES.astype(bool),
        DUMMIES.astype("float32"),
        DUMMIES.astype("Int64"),
        backwards,
    ]
    for concepts in forms:
        assert_array_equal(weights(small(concepts=concepts, **params).fit(X, y)), expected)
    other = small(concepts=DUMMIES * 3, **params).fit(X, y)
    assert not np.array_equal(weights(other), expected)
    with_empty = small(concepts=DUMMIES.assign(nobody=0.0), **params).fit(X, y)
    assert_allclose(weights(with_empty), expected, atol=1e-5)


def test_no_concepts(panel):
    X, y = panel
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        without = small(concepts=None).fit(X, y)
        without.predict(X)
        for concepts in ({}, pd.DataFrame(), pd.DataFrame(index=STOCKS), pd.Series(dtype=object)):
            assert_array_equal(weights(small(concepts=concepts).fit(X, y)), weights(without))
        # Then instruments need not be known.
        days = y.index.get_level_values("datetime")
        by_day = small(concepts=None).fit(np.asarray(X), y.to_numpy(), days=days)
        assert_array_equal(weights(by_day), weights(without))
        assert_array_equal(by_day.predict(np.asarray(X), days=days), without.predict(X))


def test_unknown_instruments_are_reported_once(panel):
    X, y = panel
    known = SECTORS.drop("S2")
    with pytest.warns(
        UserWarning, match=r"^2 of 9 instruments .* no concept: \['S2', 'S8'\]\.$"
    ) as w:
        model = small(concepts=known).fit(X, y)
    assert len(w) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X)
        model.attend(X[:20])
        model.partial_fit(X, y)
        pickle.loads(pickle.dumps(model)).predict(X)
    index = y.index[:9].set_levels([*STOCKS[:8], "new"], level="instrument")
    with pytest.warns(UserWarning, match=r"^1 of 9 .* no concept: \['new'\]\.$") as w:
        model.predict(windows_of(np.asarray(X)[:9], index))
    assert len(w) == 1
    # Many are counted, and some are named.
    with pytest.warns(UserWarning, match=r"^8 of 9 .*: \[('S\d', ){4}'S\d'\] and others\.$"):
        small(concepts={"S0": "a"}).fit(X, y)
    # A new fit reports anew; one that goes on, what is new to it.
    with pytest.warns(UserWarning, match="2 of 9"):
        model.fit(X, y)
    with pytest.warns(UserWarning, match=r"^2 of 9 .*'S8'\]"):
        small(concepts=None, warm_start=True).fit(X, y).set_params(concepts=known).fit(X, y)


def test_an_unknown_instrument_is_in_no_concept(panel, fitted):
    X, y = panel
    index = y.index[:9].set_levels([*STOCKS[:8], "new"], level="instrument")
    with pytest.warns(UserWarning, match="'new'"):
        renamed = fitted.attend(windows_of(np.asarray(X)[:9], index))
    as_it_was = fitted.attend(X[:9])
    for name, values in as_it_was.items():
        assert_array_equal(renamed[name], values)
    assert not as_it_was["stock_to_concept"][8].any()
    assert as_it_was["stock_to_concept"][:8].any(axis=1).all()


@pytest.mark.parametrize(
    ("concepts", "error", "message"),
    [
        (
            pd.concat([SECTORS, SECTORS[:2]]),
            ValueError,
            r"2 instruments more than once.*'S0', 'S1'",
        ),
        (pd.concat([DUMMIES, DUMMIES[:1]]), ValueError, r"1 instruments more than once.*'S0'"),
        (pd.concat([DUMMIES, DUMMIES[["a"]]], axis=1), ValueError, r"columns more than once.*'a'"),
        (
            DUMMIES.replace(1.0, -1.0),
            ValueError,
            r"not negative; got -1.0 for instrument 'S0' .*'a'",
        ),
        (DUMMIES.replace(1.0, np.nan), ValueError, r"finite.*got nan for .*\(8 such in all\)"),
        (DUMMIES.replace(1.0, np.inf), ValueError, "finite.*got inf"),
        (SECTORS.to_frame(), TypeError, "must hold numbers .*or be a Series or mapping"),
        ({"S0": ["a", "b"]}, TypeError, "one concept of each instrument.*several.*DataFrame"),
        ({"S0": {"a": 1.0}}, TypeError, "one concept of each instrument.*several.*DataFrame"),
        ({("S0", "a"): 1}, ValueError, "one row an instrument; its index has the levels"),
        (DUMMIES.stack(), ValueError, "one row an instrument; its index has the levels"),
        (DUMMIES.set_index("a", append=True), ValueError, r"one row an instrument.*'a'"),
        ({"AAPL": "tech"}, ValueError, r"none of the 9 instruments of X: it has \['AAPL'\], X has"),
        (SECTORS.reset_index(drop=True), ValueError, "none of the 9 instruments"),
        (DUMMIES.T, ValueError, "none of the 9 instruments"),
        (DUMMIES.to_numpy(), ValueError, "'concepts' parameter .*DataFrame.*Series.*Mapping"),
        ("sector", ValueError, "'concepts' parameter"),
    ],
)
def test_bad_concepts(panel, monkeypatch, concepts, error, message):
    X, y = panel
    monkeypatch.setattr("skattn.base.run_epochs", lambda *args, **kwargs: pytest.fail("it trains"))
    for method in ("fit", "partial_fit"):
        with pytest.raises(error, match=message):
            getattr(small(concepts=concepts), method)(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"days_per_batch": 0}, "days_per_batch"),
        ({"rnn": "rnn"}, "rnn"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"num_layers": 0}, "num_layers"),
    ],
)
def test_bad_parameters(panel, params, message):
    with pytest.raises(ValueError, match=f"'{message}' parameter of HISTRegressor"):
        small(**params).fit(*panel)


@one_day
def test_concepts_without_instruments(panel, fitted, monkeypatch):
    X, y = panel
    arrays = np.asarray(X), y.to_numpy()
    days = y.index.get_level_values("datetime")
    with pytest.raises(ValueError, match="instruments of X are not known"):
        fitted.predict(arrays[0], days=days)
    monkeypatch.setattr("skattn.base.run_epochs", lambda *args, **kwargs: pytest.fail("it trains"))
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=r"instruments of X are not known.*instruments="):
            getattr(small(), method)(*arrays, days=days)


# Days


def test_without_days_each_row_is_one(panel):
    X, y = panel
    X, y = np.asarray(X)[:30], y.to_numpy()[:30]
    params = {"concepts": None, "early_stopping": False, "days_per_batch": 4, "batch_size": 4}
    with pytest.warns(UserWarning, match=r"^HISTRegressor looks across .* a day of its own") as w:
        model = small(**params).fit(X, y)
    assert len(w) == 1
    one_a_day = pd.date_range("2024-01-01", periods=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(weights(small(**params).fit(X, y, days=one_a_day)), weights(model))
        # It was said at fit.
        alone = model.predict(X)
        assert_array_equal(model.predict(X, days=one_a_day), alone)
        assert_array_equal(np.concatenate([model.predict(row[None]) for row in X]), alone)
        together = model.predict(X, days=["2024-01-01"] * 30)
    assert not np.allclose(together, alone)
    with pytest.warns(UserWarning, match="looks across") as w:
        small(**params).fit(X, y, days=one_a_day).predict(X)
    assert len(w) == 1


@quiet
def test_days_and_instruments_as_arguments(panel, fitted):
    X, y = panel
    days, instruments = (y.index.get_level_values(level) for level in ("datetime", "instrument"))
    for given_days, given_instruments in (
        (days, instruments),
        (days.strftime("%Y-%m-%d").to_numpy(), instruments.to_numpy()),
        (list(days + pd.Timedelta(hours=16)), list(instruments)),
        (pd.Series(days), pd.Series(instruments, dtype="category")),
    ):
        given = {"days": given_days, "instruments": given_instruments}
        model = small().fit(np.asarray(X), y.to_numpy(), **given)
        assert_array_equal(weights(model), weights(fitted))
        assert_array_equal(model.predict(np.asarray(X), **given), fitted.predict(X))
        attention = model.attend(np.asarray(X), **given)
        for name, values in fitted.attend(X).items():
            assert_array_equal(attention[name], values)
    # An index of y does for a fit.
    assert_array_equal(weights(small().fit(np.asarray(X), y)), weights(fitted))
    # Arguments come first.
    renamed = pd.Index(["T" + name if name == "S8" else name for name in instruments])
    given = {"days": days, "instruments": renamed}
    assert_array_equal(fitted.predict(X, **given), fitted.predict(X))
    for bad in ({"days": days[:-1]}, {"instruments": instruments[:-1]}):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            fitted.predict(X, **bad)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            small().fit(X, y, **bad)


@quiet
@pytest.mark.parametrize("days_per_batch", [1, 4, 100])
def test_order_of_rows(panel, days_per_batch):
    X, y = panel
    order = np.random.default_rng(3).permutation(len(y))
    one = small(days_per_batch=days_per_batch).fit(X, y)
    two = small(days_per_batch=days_per_batch).fit(X[order], y.iloc[order])
    assert_allclose(weights(two), weights(one), atol=1e-5)
    assert_allclose(two.predict(X), one.predict(X), atol=1e-5)
    assert_array_equal(one.predict(X[order]), one.predict(X)[order])
    assert_allclose(two.history_["valid_ic"], one.history_["valid_ic"], atol=1e-4)
    n_train = 24 - 3 - 2
    expected = len(range(0, n_train, days_per_batch))
    assert (one.history_["train_batch_count"] == expected).all()


@pytest.fixture(scope="module")
def large():
    """A model and days of up to 450 stocks: more than two blocks of rows."""
    X, y = make_panel([450, 1, 3, 201, 200, 7, 60, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small(max_epochs=1, early_stopping=False, rnn="gru").fit(X, y)
        return model, X, y.index.get_level_values("datetime"), model.predict(X)


@quiet
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_day_does_not_depend_on_other_days(large, data):
    model, X, days, predicted = large
    chosen = data.draw(st.lists(st.sampled_from(list(days.unique())), min_size=1, unique=True))
    rows = np.concatenate([np.flatnonzero(days == day) for day in chosen])
    if data.draw(st.booleans()):
        # Rows of a day in their order, days interleaved.
        rows = np.sort(rows)
    n_threads, before = data.draw(st.sampled_from([1, 2])), torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        assert_array_equal(model.predict(X[rows]), predicted[rows])
    finally:
        torch.set_num_threads(before)


@quiet
def test_predictions_are_the_modules(large):
    model, X, days, predicted = large
    dummies = DUMMIES.reindex(X.instruments).fillna(0).to_numpy(np.float32)
    for day in days.unique():
        rows = np.flatnonzero(days == day)
        x, concepts = torch.from_numpy(X.gather(rows)), torch.from_numpy(dummies[rows])
        with torch.no_grad():
            expected = model.module_(x[None], concepts=concepts[None])[0]
        assert_allclose(predicted[rows], expected, atol=1e-5)


@quiet
@settings(max_examples=12, deadline=None)
@given(cut=st.integers(0, 22), seed=st.integers(0, 2**16))
def test_later_days_do_not_matter(panel, fitted, cut, seed):
    X, y = panel
    rng = np.random.default_rng(seed)
    days = y.index.get_level_values("datetime")
    later = days > days.unique()[cut]
    changed = np.asarray(X).copy()
    changed[later] = rng.normal(scale=3, size=changed[later].shape)
    kept = ~later | (rng.random(len(y)) > 0.3)
    one, two = fitted.predict(X), fitted.predict(windows_of(changed[kept], y.index[kept]))
    assert_array_equal(two[~later[kept]], one[~later])
    maps, others = fitted.attend(X), fitted.attend(windows_of(changed[kept], y.index[kept]))
    for name in maps:
        width = others[name].shape[1]
        assert_array_equal(others[name][~later[kept]], maps[name][~later][:, :width])


# Labels


@quiet
def test_rows_without_a_label_are_context(panel):
    X, y = panel
    days = y.index.get_level_values("datetime")
    row = 2  # of the first day, of sector a
    partly = y.copy()
    partly.iloc[row] = np.nan
    changed = np.asarray(X).copy()
    changed[row] += 2
    changed = windows_of(changed, y.index)
    model = small(early_stopping=False).fit(X, partly)
    assert np.isfinite(model.history_["train_loss"]).all()
    # Its features count in training, its label does not, its absence does.
    assert not np.array_equal(
        weights(small(early_stopping=False).fit(changed, partly)), weights(model)
    )
    other_label = small(early_stopping=False).fit(X, y)
    assert not np.array_equal(weights(other_label), weights(model))
    without = np.delete(np.arange(len(y)), row)
    absent = small(early_stopping=False).fit(X[without], y.iloc[without])
    assert not np.array_equal(weights(absent), weights(model))
    # And in prediction: of its day alone.
    one, two = model.predict(X), model.predict(changed)
    first = days == days[0]
    assert_array_equal(one[~first], two[~first])
    assert (one[first] != two[first]).all()


@quiet
def test_days_without_a_label_are_left_out(panel):
    X, y = panel
    days = y.index.get_level_values("datetime")
    gone = days.isin(days.unique()[[0, 7, 23]])
    model = small(days_per_batch=1).fit(X, y.mask(gone))
    without = small(days_per_batch=1).fit(X[~gone], y[~gone])
    assert_array_equal(weights(model), weights(without))
    assert model.history_["train_batch_count"].iloc[0] == 21 - 3 - 2
    assert np.isfinite(model.predict(X)).all()


@quiet
@pytest.mark.parametrize("monitor", ["valid_ic", "valid_rank_ic", "valid_loss"])
@pytest.mark.parametrize("days_per_batch", [1, 2])
def test_early_stopping_holds_out_whole_days(panel, monitor, days_per_batch):
    X, y = panel
    order = np.random.default_rng(1).permutation(len(y))
    X, y = X[order], y.iloc[order].copy()
    days = y.index.get_level_values("datetime")
    calendar = days.unique().sort_values()
    last, purged = days >= calendar[-3], days.isin(calendar[-5:-3])
    # One row of a held-out day, and one of the others, is context.
    y.iloc[[np.flatnonzero(last)[0], np.flatnonzero(~last & ~purged)[0]]] = np.nan
    params = {"monitor": monitor, "days_per_batch": days_per_batch, "max_epochs": 6, "lr": 0.03}
    model = small(**params).fit(X, y)
    kept = ~last & ~purged
    explicit = small(**params).fit(X[kept], y[kept], X_val=X[last], y_val=y[last])
    assert_array_equal(weights(model), weights(explicit))

    predicted = pd.Series(model.predict(X[last]), index=y.index[last])
    recorded = model.history_[monitor]
    if monitor == "valid_loss":
        by_day = ((predicted - y[last]) ** 2).groupby(days[last]).mean()
        if days_per_batch == 1:
            assert recorded.min() == pytest.approx(by_day.mean(), rel=1e-4)
    else:
        score = {"valid_ic": ic_score, "valid_rank_ic": rank_ic_score}[monitor]
        assert recorded.max() == pytest.approx(score(y[last], predicted), abs=1e-5)
        assert recorded.max() > recorded.min()


@quiet
def test_partial_fit_and_warm_start_go_on(panel):
    X, y = panel
    whole = small(early_stopping=False).fit(X, y)
    stepwise = small()
    for _ in range(2):
        stepwise.partial_fit(X, y)
    assert_array_equal(weights(stepwise), weights(whole))
    by_name = small()
    days, instruments = (y.index.get_level_values(level) for level in ("datetime", "instrument"))
    for _ in range(2):
        by_name.partial_fit(np.asarray(X), y.to_numpy(), days=days, instruments=instruments)
    assert_array_equal(weights(by_name), weights(whole))
    warm = clone(whole).set_params(warm_start=True).fit(X, y)
    assert warm.fit(X, y).n_iter_ == 4


# Attention


def test_attention(panel, fitted):
    X, y = panel
    predicted = fitted.predict(X)
    maps = fitted.attend(X)
    assert_array_equal(fitted.predict(X), predicted)
    assert set(maps) == set(HIST.attention_axes)
    days, instruments = (y.index.get_level_values(level) for level in ("datetime", "instrument"))
    dummies = DUMMIES.reindex(instruments).fillna(0).to_numpy()
    assert maps["stock_to_concept"].shape == maps["concept_to_stock"].shape == (len(y), 3)
    assert maps["hidden_concept"].shape == (len(y), 9)
    single = 0
    for rows in y.groupby(days).indices.values():
        enter, take, hidden = (maps[name][rows] for name in HIST.attention_axes)
        members, n = dummies[rows], len(rows)
        assert_allclose(enter, members / (members.sum(axis=0) * members + 1), rtol=1e-6)
        exists = members.any(axis=0)
        assert not take[:, ~exists].any()
        assert (take >= 0).all()
        assert_allclose(take.sum(axis=1), float(exists.any()), atol=1e-6)
        assert np.isnan(hidden[:, n:]).all()
        hidden = hidden[:, :n]
        total = hidden.sum(axis=1)
        assert_allclose(total, np.round(total), atol=1e-6)
        # A day has hidden concepts or has none: a single stock is like no other.
        assert total.round().min() == total.round().max() == (hidden > 0).any()
        single += n == 1
        assert n > 1 or not hidden.any()
    assert single == 1
    smaller = fitted.attend(X[days == days.unique()[1]])
    assert smaller["hidden_concept"].shape == (4, 4)


def test_attention_without_concepts(panel):
    X, y = panel
    maps = small(concepts=None, max_epochs=1).fit(X, y).attend(X)
    assert maps["stock_to_concept"].shape == maps["concept_to_stock"].shape == (len(y), 0)
    assert np.isfinite(maps["hidden_concept"][:9]).all()


# The module


@pytest.mark.parametrize("rnn", ["gru", "lstm"])
@pytest.mark.parametrize("n_concepts", [0, 3])
def test_days_at_once_are_days_one_by_one(rnn, n_concepts):
    rng = torch.Generator().manual_seed(0)
    module, sizes = HIST(2, 5, 2, rnn), [4, 1, 7, 2]
    present = torch.arange(7) < torch.tensor(sizes)[:, None]
    # Rows that are not there hold anything.
    x = 10 * torch.randn(4, 7, 6, 2, generator=rng)
    concepts = (torch.rand(4, 7, n_concepts, generator=rng) * 4 - 1).clamp(min=0)
    labels = torch.randn(4, 7, generator=rng)

    module.zero_grad()
    at_once = module(x, present, concepts)
    ((at_once - labels)[present] ** 2).sum().backward()
    gradients = {name: p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    for day, n in enumerate(sizes):
        alone = module(x[day, None, :n], concepts=concepts[day, None, :n])
        assert_allclose(at_once[day, :n].detach(), alone[0].detach(), atol=1e-6)
        ((alone[0] - labels[day, :n]) ** 2).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.isfinite().all()
        scale = max(1, float(parameter.grad.abs().max()))
        assert_allclose(gradients[name], parameter.grad, atol=1e-5 * scale, err_msg=name)

    maps = module.attend(x, present, concepts)
    assert not maps["stock_to_concept"][~present].any()
    there = present[:, :, None] & present[:, None]
    assert not maps["hidden_concept"][present[:, :, None] & ~there].any()


def test_stocks_that_are_equal_or_zero_have_finite_gradients():
    module = HIST(2, 5, 1)
    for x in (torch.zeros(1, 6, 4, 2), torch.ones(2, 6, 4, 2)):
        module.zero_grad()
        module(x, concepts=torch.ones(len(x), 6, 2)).sum().backward()
        assert all(p.grad.isfinite().all() for p in module.parameters())
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    module.zero_grad()
    predicted = module(torch.randn(1, 6, 4, 2), concepts=torch.ones(1, 6, 2))
    predicted.sum().backward()
    assert not predicted.any()
    assert all(p.grad.isfinite().all() for p in module.parameters())


# The rest of the library


@quiet
def test_same_seed_same_bits_and_dropout(panel):
    X, y = panel
    params = {"num_layers": 2, "dropout": 0.4, "max_epochs": 2}
    first = small(**params).fit(X, y)
    assert_array_equal(weights(small(**params).fit(X, y)), weights(first))
    assert not np.array_equal(weights(small(**params, random_state=1).fit(X, y)), weights(first))
    assert_array_equal(first.predict(X), first.predict(X))


@quiet
def test_training_on_two_threads(panel):
    X, y = panel
    params = {"max_epochs": 1, "early_stopping": False}
    one, before = small(**params).fit(X, y), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_allclose(weights(small(**params).fit(X, y)), weights(one), atol=1e-5)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@quiet
def test_bad_windows(panel, fitted):
    X, y = panel
    broken = np.asarray(X).copy()
    broken[17, 2, 1] = np.nan
    given = {"days": y.index.get_level_values(0), "instruments": y.index.get_level_values(1)}
    with pytest.raises(ValueError, match=r"X contains NaN \(first at row 17"):
        fitted.predict(broken, **given)
    with pytest.raises(ValueError, match=r"X contains NaN \(first at row 17"):
        small().fit(broken, y)
    broken[17, 2, 1] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        fitted.predict(broken, **given)
    with pytest.raises(ValueError, match="trading day is missing in 1 row"):
        fitted.predict(X, days=[None, *given["days"][1:]], instruments=given["instruments"])
    with pytest.raises(ValueError, match="leaves no day to train on"):
        small().fit(X[:20], y[:20])


def test_pickle_and_clone(panel, fitted):
    X, _ = panel
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.module_ is again.net_.module_
    copied = clone(fitted)
    assert copied.concepts.equals(fitted.concepts)
    assert not hasattr(copied, "net_")
    # What was given may change afterwards.
    table = SECTORS.copy()
    model = small(concepts=table, max_epochs=1)
    with pytest.warns(UserWarning, match="no concept"):
        model.fit(*panel)
    before = model.predict(X)
    table[:] = "a"
    assert_array_equal(model.predict(X), before)


def test_search_over_a_pipeline():
    market = make_market(n_stocks=10, n_days=70, missing_days=0.05, random_state=2)
    pipeline = Pipeline(
        [
            ("alpha360", Alpha360(length=6, calendar=market.ohlcv.index.unique("datetime"))),
            ("scale", RobustZScore()),
            ("model", small(concepts=market.concepts, max_epochs=2)),
        ]
    )
    grid = {"model__days_per_batch": [1, 5], "model__concepts": [market.concepts, None]}
    cv = DailyTimeSeriesSplit(n_splits=2)
    search = GridSearchCV(pipeline, grid, cv=cv, scoring=ic_scorer, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        search.fit(market.ohlcv, market.label)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) == 4
    predicted = search.predict(market.ohlcv)
    assert predicted.shape == market.label.shape
    # Today's predictions, from today's and earlier rows alone.
    days = market.ohlcv.index.get_level_values("datetime")
    past = days <= days.unique().sort_values()[60]
    assert_array_equal(search.predict(market.ohlcv[past]), predicted[past])


def test_no_lookahead_through_a_pipeline(market):
    days = market.ohlcv.index.get_level_values("datetime")
    day = days.unique().sort_values()[100]
    past = days <= day
    model = small(concepts=market.concepts, max_epochs=1)
    pipeline = make_pipeline(Alpha360(length=6), RobustZScore(), model)
    pipeline.fit(market.ohlcv[past], market.label[past])
    other = market.ohlcv.astype(float)
    other[~past] *= 1.7
    assert_array_equal(pipeline.predict(other)[past], pipeline.predict(market.ohlcv)[past])


@quiet
def test_bf16_is_near_float32():
    # Many stocks: which one is nearest must not be left to rounding.
    X, y = make_panel([200] * 6)
    params = {"early_stopping": False, "days_per_batch": 1}
    full = small(**params).fit(X, y)
    held = {"pretrained": full.module_.state_dict(), "lr": 1e-12, "max_epochs": 1}
    same = small(**params, precision="bf16").set_params(**held).fit(X, y)
    one, two = full.predict(X), same.predict(X)
    assert two.dtype == np.float32
    assert np.corrcoef(one, two)[0, 1] > 0.99
    assert not np.array_equal(one, two)
    half = small(**params, precision="bf16").fit(X, y)
    assert np.corrcoef(one, half.predict(X))[0, 1] > 0.97
    assert all(p.dtype == torch.float32 for p in half.module_.parameters())
    assert all(values.dtype == np.float32 for values in half.attend(X).values())


@quiet
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compile(panel):
    X, y = panel[0][:60], panel[1][:60]
    params = {"days_per_batch": 2, "max_epochs": 1, "early_stopping": False}
    plain, compiled = small(**params).fit(X, y), small(**params, compile=True).fit(X, y)
    assert_allclose(compiled.predict(X), plain.predict(X), atol=1e-4)
    again = pickle.loads(pickle.dumps(compiled))
    assert_allclose(again.predict(X), plain.predict(X), atol=1e-4)
