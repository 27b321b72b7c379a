"""Transformers hunted for look-ahead: nothing after a day changes what is known on it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_bits, days_in, ragged_prices
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skattn.preprocessing import Alpha360, RobustZScore, SequenceReshaper


def alter_later(table, today, how, seed) -> pd.DataFrame:
    """The same rows up to a day; others after it."""
    rng = np.random.default_rng(seed)
    later = np.asarray(days_in(table) > today)
    if how == "perturb":
        noise = rng.uniform(0.01, 100, table.shape)
        return table.mask(later[:, None] & np.ones(table.shape, bool), table * noise)
    if how == "nan":
        return table.mask(later[:, None] & (rng.random(table.shape) < 0.7))
    if how == "delete":
        return table[~later | (rng.random(len(table)) < 0.3)]
    if how == "cut":
        return table[~later]
    if how == "append":
        more = ragged_prices(20, 7, seed=seed + 1) * 50
        more = more[(days_in(more) > today) & ~more.index.isin(table.index)]
        mixed = pd.concat([more, table])
        return mixed.iloc[rng.permutation(len(mixed))]
    raise AssertionError(how)


LOOKING_BACK = {
    "windows": Alpha360(length=5, vwap="typical"),
    "columns": Alpha360(["open", "volume"], length=5, layout="columns"),
    "scaled windows": make_pipeline(Alpha360(length=5), RobustZScore()),
    "scaled columns": make_pipeline(Alpha360(length=5, layout="columns"), RobustZScore()),
    "unclipped": make_pipeline(Alpha360(length=5), RobustZScore(None, fill_value=None)),
    "reshaped": make_pipeline(
        Alpha360(length=5, layout="columns"), RobustZScore(), SequenceReshaper()
    ),
    "table": RobustZScore(),
}


def by_key(result, index, wanted) -> np.ndarray:
    return np.asarray(result)[index.get_indexer(wanted)]


@pytest.mark.parametrize("name", LOOKING_BACK)
@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 13),
    st.sampled_from(["perturb", "nan", "delete", "cut", "append"]),
    st.sampled_from(["until today", "before"]),
)
def test_nothing_after_a_day_changes_what_is_known_on_it(name, seed, day, how, fitted_on):
    transformer = clone(LOOKING_BACK[name])
    table = ragged_prices(seed=seed, share=0.9)
    calendar = days_in(table).unique().sort_values()
    day = min(day, len(calendar) - 1)
    until = calendar[day // 2] if fitted_on == "before" else calendar[day]
    past = days_in(table) <= calendar[day]
    altered = alter_later(table, calendar[day], how, seed)
    known = table.index[past]
    transformer.fit(table[days_in(table) <= until])
    before = by_key(transformer.transform(table), table.index, known)
    after = by_key(transformer.transform(altered), altered.index, known)
    assert_same_bits(before, after)
    # Alone, the past gives the same again, and with it what a live run would have seen.
    assert_same_bits(transformer.transform(table[past]), before)


@pytest.mark.filterwarnings("ignore:X begins at")
@pytest.mark.parametrize("layout", ["windows", "columns"])
@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 13),
    st.sampled_from(["perturb", "nan", "delete", "append"]),
    st.booleans(),
)
def test_a_fit_that_saw_later_days_does_not_tell_of_them(layout, seed, day, how, alone):
    """Alpha360 remembers rows: those after a window's day stay out of it."""
    transformer = Alpha360(length=5, layout=layout)
    table = ragged_prices(seed=seed, share=0.9)
    calendar = days_in(table).unique().sort_values()
    day = min(day, len(calendar) - 1)
    if alone and how in ("delete", "append"):
        how = "perturb"  # Which days are remembered depends on which days there are.
    altered = alter_later(table, calendar[day], how, seed)
    past = table[days_in(table) <= calendar[day]]
    if alone:
        past = past[days_in(past) == calendar[day]]
    assert_same_bits(
        clone(transformer).fit(table).transform(past),
        clone(transformer).fit(altered).transform(past),
    )


def test_statistics_come_from_the_fitted_rows_alone():
    table = ragged_prices(missing=0.0)
    calendar = days_in(table).unique().sort_values()
    past = table[days_in(table) <= calendar[6]]
    pipeline = make_pipeline(Alpha360(length=3), RobustZScore()).fit(past)
    scaler = pipeline[-1]
    alone = RobustZScore().fit(Alpha360(length=3).fit_transform(past))
    assert_same_bits(scaler.center_, alone.center_)
    center, scale = scaler.center_.copy(), scaler.scale_.copy()
    pipeline.transform(table * 1000)
    assert_same_bits(scaler.center_, center)
    assert_same_bits(scaler.scale_, scale)
