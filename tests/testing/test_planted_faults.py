"""Models with one planted fault each: the check meant for it finds it and names the cure."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import pytest
import torch
from kit_models import (
    CountedRegressor,
    Days,
    DaysRegressor,
    RegisteredRegressor,
    Rows,
    RowsRegressor,
)
from torch import nn
from torch.nn import functional as F

from skattn import SequenceRegressor, parameter
from skattn.testing import check_model, model_checks

HEALTHY = {"rows": RowsRegressor, "days": DaysRegressor}


@pytest.mark.parametrize("model", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_model_passes_everything(model):
    results = check_model(model, on_fail=None)
    odd = {each["check_name"]: each["exception"] for each in results if each["status"] != "passed"}
    # scikit-learn's needs an environment variable.
    assert not [name for name in odd if not name.startswith("check_array_api_input")], odd


def rows(**members) -> type:
    """Make a model of rows whose module has other members."""
    module = type("Faulty", (Rows,), members)

    class FaultyRegressor(RowsRegressor):
        """A model with a fault."""

        def build_module(self, n_steps, n_features):
            return module(n_features, self.size, self.dropout)

    return FaultyRegressor


def days(**members) -> type:
    """Make a model of whole days whose module has other members."""
    module = type("Faulty", (Days,), members)

    class FaultyRegressor(DaysRegressor):
        """A model with a fault."""

        def build_module(self, n_steps, n_features):
            return module(n_features, self.size)

    return FaultyRegressor


def built(change, base=RowsRegressor, **members) -> type:
    """Make a model that does something to the module that it has built."""

    class FaultyRegressor(base):
        """A model with a fault."""

        def build_module(self, n_steps, n_features):
            module = super().build_module(n_steps, n_features)
            change(module)
            return module

    for name, value in members.items():
        setattr(FaultyRegressor, name, value)
    return FaultyRegressor


# Several labels -----------------------------------------------------------------------------------


def outputs(change, predicts=lambda y: y) -> type:
    """Make a model of several outputs that does something to what they give."""

    class Several(Rows):
        def __init__(self, n_features, size, n_outputs):
            super().__init__(n_features, size, 0.0)
            self.out = nn.Linear(size, n_outputs)
            self.n_outputs = n_outputs

        def forward(self, x):
            states = self.states(x)
            mean = (states * self.weights(states)[..., None]).sum(1)
            return change(self.out(mean), self.n_outputs)

    class FaultyRegressor(RowsRegressor):
        """A model with a fault."""

        def build_module(self, n_steps, n_features, n_outputs=1):
            return Several(n_features, self.size, n_outputs)

        def predict(self, X, **beside):
            return predicts(super().predict(X, **beside))

    return FaultyRegressor


class FirstLabelRegressor(RowsRegressor):
    """A model that takes the first of several labels in silence."""

    def fit(self, X, y, *args, **beside):
        return super().fit(X, y.iloc[:, 0] if y.ndim == 2 else y, *args, **beside)


# Days and padding ---------------------------------------------------------------------------------


def sees_other_days(self, x, present):
    own = Days.forward(self, x, present)
    return own - 0.01 * own.mean(dim=0, keepdim=True)


def attends_over_all_rows(self, x, present):
    states = self.states(x).flatten(0, 1)
    there = present.flatten()
    scores = (states @ states.mT).masked_fill(~there, torch.finfo(states.dtype).min)
    shared = scores.softmax(-1) @ states
    return self.out(torch.cat((states, shared), -1))[..., 0].unflatten(0, present.shape)


def sees_padding(self, x, present):
    return Days.forward(self, x, torch.ones_like(present))


def counts_padding(self, x, present):
    own = Days.forward(self, x, present) * present
    return own - own.sum(dim=1, keepdim=True) / present.shape[1]


def knows_places(self, x, present):
    return Days.forward(self, x, present) + torch.arange(x.shape[1]) / 10


def divides_by_others(self, x, present):
    own = Days.forward(self, x, present) * present
    others = present.sum(dim=1, keepdim=True) - 1
    return own - (own.sum(dim=1, keepdim=True) - own) / others


# Rows ---------------------------------------------------------------------------------------------


def sees_batch_mates(self, x):
    return Rows.forward(self, x - x.mean(dim=0, keepdim=True))


def sees_every_other_row(self, x):
    own = Rows.forward(self, x)
    return own + 0.1 * own.roll(2, 0)


def turns_rows(self, x):
    return Rows.forward(self, x).roll(2, 0)


def mixes_axes(self, x):
    return Rows.forward(self, x.transpose(0, 1).reshape(x.shape))


def squeezes(self, x):
    return self.out(self.states(x).mean(1)).squeeze()


def treats_one_row_apart(self, x):
    return Rows.forward(self, x) * (1 if len(x) > 1 else 2)


def counts_rows(self, x):
    return Rows.forward(self, x) + torch.arange(len(x)) / 1000


def draws(self, x):
    return Rows.forward(self, F.dropout(x, 0.1, training=True))


def last_step(self, x):
    return self.out(torch.tanh(self.inside(x[:, -1])))[..., 0]


def first_fields(self, x):
    return Rows.forward(self, torch.cat((x[..., :-1], torch.zeros_like(x[..., :1])), -1))


def gives_nan(self, x):
    return (Rows.forward(self, x) - 5).log()


def second_axis(self, x):
    return Rows.forward(self, x)[:, None]


def no_gradient(self, x):
    return Rows.forward(self, x).detach() * 0 + self.out.bias


# Attention ----------------------------------------------------------------------------------------


def random_maps(self, x):
    return {"time": torch.rand(x.shape[:2]).softmax(-1)}


def seeded_maps(self, x):
    generator = torch.Generator().manual_seed(0)
    return {"time": torch.rand(x.shape[:2], generator=generator).softmax(-1)}


def scores_only(self, x):
    return {"time": self.score(self.states(x))[..., 0]}


def missing_maps(self, x):
    return {"time": torch.full_like(Rows.attend(self, x)["time"], torch.nan)}


def over_rows(self, x):
    return {"time": self.score(self.states(x))[..., 0].softmax(0)}


def layers_first(self, x):
    weights = Rows.attend(self, x)["time"]
    return {"time": torch.stack((weights, weights), -1)}


def steps_by_steps(self, x):
    states = self.states(x)
    return {"steps": (states @ states.mT).softmax(-1).mT}


def transposed_stocks(self, x, present):
    return {"peers": Days.attend(self, x, present)["peers"].mT * present[..., None]}


def unmasked_stocks(self, x, present):
    return {"peers": self.weights(self.states(x), torch.ones_like(present))}


def maps_of_other_days(self, x, present):
    states = self.states(x)
    return {"peers": self.weights(states + states.mean(dim=0, keepdim=True), present)}


# Weights and seeds --------------------------------------------------------------------------------


def drawn_by_numpy(module):
    module.out.weight.data = torch.from_numpy(
        np.random.default_rng().normal(size=(1, 16)).astype(np.float32)
    )


def global_numpy(module):
    np.random.seed(0)  # noqa: NPY002 - the fault
    drawn_by_numpy_global = np.random.normal(size=(1, 16)).astype(np.float32)  # noqa: NPY002
    module.out.weight.data = torch.from_numpy(drawn_by_numpy_global)


def seeds_random(module):
    random.seed(1)


def seeds_in_forward(self, x):
    torch.manual_seed(0)
    return Rows.forward(self, x)


def seeds_torch(self, n_steps, n_features):
    torch.manual_seed(0)
    return Rows(n_features, self.size, self.dropout)


def own_generator(module):
    generator = torch.Generator().manual_seed(0)
    for each in module.parameters():
        each.data = 0.2 * torch.randn(each.shape, generator=generator)


def nothing(module):
    pass


def own_fit(self, X, y, **beside):
    self.random_state = 0
    return RowsRegressor.fit(self, X, y, **beside)


class Counts(Rows):
    """A module that keeps what it has seen beside its weights."""

    def forward(self, x):
        if self.training:
            self.seen = getattr(self, "seen", 0) + 1
        return super().forward(x) + 0.1 * getattr(self, "seen", 0)


def normalised_by_batch(module):
    module.drop = nn.BatchNorm1d(16)


class CountsRegressor(RowsRegressor):
    """A model with a fault."""

    def build_module(self, n_steps, n_features):
        return Counts(n_features, self.size, self.dropout)


class HasLambda(Rows):
    """A module that cannot be pickled."""

    def __init__(self, *args):
        super().__init__(*args)
        self.act = lambda x: x


class HasLambdaRegressor(RowsRegressor):
    """A model with a fault."""

    def build_module(self, n_steps, n_features):
        return HasLambda(n_features, self.size, self.dropout)


def own_clone(self):
    return self


NAMES = itertools.count()


def named_by_a_count(module):
    module.register_parameter(f"shift_{next(NAMES)}", nn.Parameter(torch.zeros(3, 3)))


# What it is given ---------------------------------------------------------------------------------


def trains_on_zeros(self, X, y, **beside):
    return RowsRegressor.fit(self, X, y.fillna(0.0), **beside)


def sorted_predictions(self, X, **beside):
    return np.sort(RowsRegressor.predict(self, X, **beside))


def has_float64(module):
    module.scale = nn.Parameter(torch.ones(1, dtype=torch.float64))


def loses_digits(self, x):
    states = self.states(x)
    level = 1000 + self.out(states.mean(1))[..., 0].to(states.dtype)
    return level - 1000


def mixes_dtypes(self, x):
    found = torch.zeros(len(x), 1, dtype=torch.float32)
    found[torch.arange(len(x))] = self.out(self.states(x).mean(1))
    return found[..., 0]


# Parameters ---------------------------------------------------------------------------------------


class ForgottenRegressor(RowsRegressor):
    """A model with a fault."""

    hidden_size = 16

    def build_module(self, n_steps, n_features):
        return Rows(n_features, self.hidden_size, self.dropout)


class UnusedRegressor(RowsRegressor):
    """A model with a fault."""

    def build_module(self, n_steps, n_features):
        return Rows(n_features, self.size, 0.0)


class UnboundedRegressor(RowsRegressor):
    """A model with a fault."""

    width: int = 16


class AnyTextRegressor(RowsRegressor):
    """A model with a fault."""

    rnn: str = parameter("gru", doc="Unit.")


class SilentRegressor(RowsRegressor):
    """A model with a fault."""

    width: int = parameter(16, at_least=1)


class FixedStepsRegressor(RowsRegressor):
    """A model with a fault."""

    def build_module(self, n_steps, n_features):
        return Rows(3, self.size, self.dropout)


class UncheckedRegressor(RowsRegressor):
    """A model with a fault."""

    def _checked_parameters(self):
        return {**self.get_params(deep=False), "max_epochs": 1}


FAULTS = {
    "a leak across days": (
        days(forward=sees_other_days),
        "check_days_do_not_see_each_other",
        r"forward lets the days .* see each other.*axis 1 of \(D, S, \.\.\.\)",
    ),
    "attention over the rows of all days": (
        days(forward=attends_over_all_rows),
        "check_days_do_not_see_each_other",
        r"never over axis 0 nor over the D \* S rows",
    ),
    "a leak through padding": (
        days(forward=sees_padding),
        "check_padding_is_not_seen",
        r"forward sees the rows that only fill a day up.*by present.*masked_fill",
    ),
    "padding that counts": (
        days(forward=counts_padding),
        "check_padding_is_not_seen",
        r"depends on how many rows fill a day up.*divides by present\.sum\(dim=1\)",
    ),
    "stocks that know their place": (
        days(forward=knows_places),
        "check_order_of_stocks_does_not_matter",
        r"forward depends on the order of a day's stocks.*no position",
    ),
    "no other stock": (
        days(forward=divides_by_others),
        "check_days_of_one_stock",
        r"(forward gives nan for a day of one stock.*clamp\(min=1\)|diverged)",
    ),
    "batch mates": (
        rows(forward=sees_batch_mates),
        "check_rows_do_not_see_each_other",
        # fit itself refuses it.
        r"forward lets rows see each other.*cross_sectional = True",
    ),
    "batch normalisation": (
        built(normalised_by_batch),
        "check_batches_of_one_row",
        r"cannot train on a batch of one row.*nn\.LayerNorm in place of nn\.BatchNorm1d",
    ),
    "every other row": (
        rows(forward=sees_every_other_row),
        "check_rows_do_not_see_each_other",
        r"forward lets the rows .* see each other.*axes 1 and 2.*cross_sectional = True",
    ),
    "rows turned round": (
        rows(forward=turns_rows),
        "check_order_of_rows_does_not_matter",
        r"forward mixes up the rows.*Result b belongs to window b",
    ),
    "axes mixed up": (
        rows(forward=mixes_axes),
        "check_order_of_rows_does_not_matter",
        r"forward lets rows see each other.*Compute every row from itself alone",
    ),
    "squeezed": (
        rows(forward=squeezes),
        "check_number_of_rows_does_not_matter",
        r"\(1,\) becomes \(\)\. Let forward take the last axis by \[\.\.\., 0\], not by squeeze",
    ),
    "one row in another way": (
        rows(forward=treats_one_row_apart),
        "check_number_of_rows_does_not_matter",
        r"forward treats a row alone in another way.*normalise over no axis of rows",
    ),
    "what depends on the place": (
        rows(forward=counts_rows),
        "check_predictions_do_not_depend_on_other_rows",
        r"predict gives other bits for .* than for all rows",
    ),
    "dropout in evaluation": (
        rows(forward=draws),
        "check_forward_is_the_same_twice",
        r"forward gives other predictions when it is called again.*training=self\.training",
    ),
    "the last step alone": (
        rows(forward=last_step),
        "check_every_step_reaches_the_output",
        r"forward does not read the steps \[0, 1, 2, 3, 4, 5\] of 7.*x\[:, 0\] to x\[:, -1\]",
    ),
    "a field that is not read": (
        rows(forward=first_fields),
        "check_every_field_reaches_the_output",
        r"forward does not read the fields \[2\] of 3.*n_features",
    ),
    "NaN": (rows(forward=gives_nan), "check_fit_and_predict", r"(diverged|NaN)"),
    "forward with a second axis": (
        rows(forward=second_axis),
        "check_fit_and_predict",
        r"Faulty\.forward must give one value a row.*end forward with \[\.\.\., 0\]",
    ),
    "present missing": (
        days(forward=lambda self, x: self.out(x)),
        "check_fit_and_predict",
        r"Faulty\.forward of a cross-sectional module takes \(x, present, \.\.\.\)",
    ),
    "nothing learned": (
        rows(forward=no_gradient),
        "check_beats_zero_on_a_planted_market",
        r"does not find a signal.*without detach",
    ),
    "random attention": (
        rows(attend=random_maps),
        "check_attention_is_the_same_twice",
        r"attend gives other weights.*draw no random numbers",
    ),
    "random attention from a seed": (
        rows(attend=seeded_maps),
        "check_attention_belongs_to_its_row",
        r"attend mixes up rows in the map 'time'.*not drawn",
    ),
    "attention without softmax": (
        rows(attend=scores_only),
        "check_attention_sums",
        r"attend gives weights in the map 'time' that sum to .* over 'lag', not to 1\. Take "
        r'softmax .*attention_sums = \{"time": \(\)\}',
    ),
    "attention of NaN": (
        rows(attend=missing_maps),
        "check_attention_can_be_drawn",
        r"AttentionDisplay cannot draw the map 'time' of .*\('lag',\): weights must be finite",
    ),
    "attention over rows": (
        rows(attend=over_rows),
        "check_attention_belongs_to_its_row",
        r"attend lets rows see each other.*no axis of rows",
    ),
    "attention with an axis more": (
        rows(attend=layers_first),
        "check_attention_is_as_declared",
        r"attention_axes\['time'\] names 1 axes \('lag',\), but the map has 2",
    ),
    "attention with axes in another order": (
        rows(attend=layers_first, attention_axes={"time": ("layer", "lag")}),
        "check_attention_is_as_declared",
        r"the axis 'lag' has a place for each of the 7 steps; the map has 2",
    ),
    "attention without axes": (
        rows(attention_axes={}),
        "check_attention_is_as_declared",
        r'attention_axes does not name the axes of the maps \[\'time\'\].*"time": \("lag",\)',
    ),
    "queries in the place of keys": (
        rows(attend=steps_by_steps, attention_axes={"steps": ("query", "key")}),
        "check_attention_sums",
        r"map 'steps' transposed: its weights sum to 1 over 'query', not over 'key'.*\.mT",
    ),
    "stocks transposed": (
        days(attend=transposed_stocks),
        "check_attention_sums",
        r"gives the map 'peers' transposed: .*softmax\(dim=-1\)",
    ),
    "attention to padding": (
        days(attend=unmasked_stocks),
        "check_attention_leaves_padding_out",
        r"gives weight to rows that only fill a day up.*masked_fill",
    ),
    "attention across days": (
        days(attend=maps_of_other_days),
        "check_attention_belongs_to_its_row",
        r"attend lets days see each other in the map 'peers'",
    ),
    "unseeded weights": (
        built(drawn_by_numpy),
        "check_same_seed_same_bits",
        r"two fits with random_state=0 give other weights.*draw weights.*by torch",
    ),
    "weights by numpy's global generator": (
        built(global_numpy),
        "check_global_generators_are_untouched",
        r"fit draws from, or seeds, the global generator of numpy.*by torch",
    ),
    "a seed of random": (
        built(seeds_random),
        "check_global_generators_are_untouched",
        r"fit draws from, or seeds, the global generator of random",
    ),
    "a seed in forward": (
        rows(forward=seeds_in_forward),
        "check_global_generators_are_untouched",
        r"predict draws from, or seeds, the global generator of torch",
    ),
    "random_state ignored": (
        built(nothing, fit=own_fit),
        "check_another_seed_gives_other_bits",
        r"random_state is ignored.*fit is left to SequenceRegressor",
    ),
    "a seed in build_module": (
        built(nothing, build_module=seeds_torch),
        "check_another_seed_gives_other_bits",
        r"random_state is ignored: build_module .* the same weights whatever the seed, or seeds",
    ),
    "a generator of its own": (
        built(own_generator),
        "check_another_seed_gives_other_bits",
        r"random_state is ignored: build_module gives .* the same weights whatever the seed",
    ),
    "state beside the weights": (
        CountsRegressor,
        "check_checkpoint_resumes",
        r"(resumed).*register_buffer",
    ),
    "clones that are fitted": (
        built(nothing, __sklearn_clone__=own_clone),
        "check_clones_and_copies",
        r"clone\(model\) of a fitted FaultyRegressor is fitted: leave __sklearn_clone__",
    ),
    "names that change": (
        built(named_by_a_count),
        "check_pretrained_round_trip",
        r"pretrained does not load the weights that .* itself has stored.*module's __init__",
    ),
    "what only its process knows": (
        RegisteredRegressor,
        "check_loads_in_a_fresh_process",
        r"fresh process cannot load and ask .*KeyError.*need nothing that only one process has",
    ),
    "what depends on the process": (
        CountedRegressor,
        "check_two_jobs_give_the_scores_of_one",
        r"other bits in GridSearchCV with n_jobs=2.*no global variables",
    ),
    "labels that are filled": (
        built(nothing, fit=trains_on_zeros),
        "check_unlabelled_rows_are_not_trained_on",
        r"rows whose labels are NaN change the fit.*Leave fit",
    ),
    "sorted predictions": (
        built(nothing, predict=sorted_predictions),
        "check_rows_keep_their_order",
        r"predictions in the order of the rows.*Leave fit and predict",
    ),
    "weights in float64": (
        built(has_float64),
        "check_float64_is_read_as_float32",
        r"has parameters of .*float64.*without a dtype",
    ),
    "digits lost in bfloat16": (
        rows(forward=loses_digits),
        "check_bf16_is_near_float32",
        r"is not near float32.*autocast\(x\.device\.type, enabled=False\)",
    ),
    "dtypes that do not go together": (
        rows(forward=mixes_dtypes),
        "check_bf16_is_near_float32",
        r"fails under autocast.*x\.new_zeros",
    ),
    "a lambda in the module": (
        HasLambdaRegressor,
        "check_pickle",
        r"cannot be pickled.*top level of a module.*no lambda",
    ),
    "a setting that is no parameter": (
        ForgottenRegressor,
        "check_parameters_are_declared",
        r"hidden_size = 16 is no parameter.*`hidden_size: int = parameter\(16, \.\.\.\)`",
    ),
    "a parameter that is not used": (
        UnusedRegressor,
        "check_parameters_have_an_effect",
        r"UnusedRegressor\.dropout has no effect.*build_module, as self\.dropout",
    ),
    "a number without bounds": (
        UnboundedRegressor,
        "check_parameters_are_declared",
        r"UnboundedRegressor\.width has no description: write parameter",
    ),
    "any text": (
        AnyTextRegressor,
        "check_parameters_are_declared",
        r"AnyTextRegressor\.rnn takes any text.*one_of",
    ),
    "no description": (
        SilentRegressor,
        "check_parameters_are_declared",
        r"SilentRegressor\.width has no description",
    ),
    "a fixed number of fields": (
        FixedStepsRegressor,
        "check_defaults_work",
        r"does not work on windows of 20 steps and 32 fields.*n_steps and n_features",
    ),
    "outputs that are not there": (
        outputs(lambda predicted, n_outputs: predicted[..., 0]),
        "check_several_labels",
        r"build_module takes n_outputs, but.*must give n_outputs=2 values.*squeeze\(-1\)",
    ),
    "one output repeated": (
        outputs(lambda predicted, n_outputs: predicted[..., :1].expand(-1, n_outputs)),
        "check_several_labels",
        r"the same for two labels that are opposites.*expand or repeat",
    ),
    "an output that is no number": (
        outputs(lambda predicted, n_outputs: predicted, predicts=lambda y: y * [1, np.nan]),
        "check_several_labels",
        r"must give finite numbers of shape.*NaN",
    ),
    "outputs that see other rows": (
        outputs(lambda predicted, n_outputs: predicted, predicts=lambda y: y - y.mean(axis=0)),
        "check_several_labels",
        r"other bits for the first days",
    ),
    "labels that nobody trains": (
        FirstLabelRegressor,
        "check_several_labels",
        r"FirstLabelRegressor has one output and is fitted on two labels a row without a word",
    ),
    "values that nobody checks": (
        UncheckedRegressor,
        "check_bad_values_are_named",
        r"\.fit raises .*must raise a ValueError or TypeError that names",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_its_cure_named(fault):
    model, check, cure = FAULTS[fault]
    (result,) = check_model(model, checks=[check], on_fail=None)
    assert result["status"] == "failed"
    assert re.search(cure, str(result["exception"]), flags=re.DOTALL), result["exception"]


def test_every_check_can_fail():
    known = {
        name for model in HEALTHY.values() for name, _ in model_checks(model, scikit_learn=False)
    }
    assert known == {check for _, check, _ in FAULTS.values()}


# Refused when the class is made -------------------------------------------------------------------


def with_a_constructor():
    class Mine(RowsRegressor):
        def __init__(self, size=3):
            self.size = size


def with_a_shared_default():
    class Mine(RowsRegressor):
        layers: list = parameter([1, 2], doc="Sizes.")


def with_a_misspelt_default():
    class Mine(RowsRegressor):
        max_epoch = 3


def without_an_annotation():
    class Mine(RowsRegressor):
        width = parameter(3, at_least=1)


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (with_a_constructor, r"Mine must not define __init__.*parameter\(64, at_least=1\)"),
        (with_a_shared_default, r"Mine\.layers has the default \[1, 2\].*use a tuple, or None"),
        (with_a_misspelt_default, r"Mine\.max_epoch is no parameter\. Did you mean 'max_epochs'"),
        (without_an_annotation, r"Mine\.width has no annotation.*`width: int = parameter"),
    ],
)
def test_a_class_that_cannot_be_is_refused_at_once(make, cure):
    with pytest.raises(TypeError, match=cure):
        make()


def test_a_module_without_parameters_is_named():
    class Empty(nn.Module):
        def forward(self, x):
            return x.mean(dim=(1, 2))

    class EmptyRegressor(SequenceRegressor):
        def build_module(self, n_steps, n_features):
            return Empty()

    with pytest.raises(ValueError, match=r"Empty.*parameter"):
        check_model(EmptyRegressor, checks=["check_fit_and_predict"])
