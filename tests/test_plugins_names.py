"""Models of one name, names that are refused, and models that need another version of skattn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugin_site import fake_site, hook, names, reports

import skattn
from skattn import ModelSpec, get_model, make_model
from skattn.plugins import find_installed, list_installed, list_problems
from skattn.plugins._collect import collected
from skattn.plugins._names import nearest
from skattn.plugins._versions import why_unmet


@pytest.fixture
def site(tmp_path, monkeypatch):
    with fake_site(tmp_path, monkeypatch) as site:
        yield site


def own(problems, distribution):
    return [each for each in problems if each.distribution == distribution]


# Two models of one name -------------------------------------------------------------------------


def test_the_built_in_model_wins_and_the_other_is_reachable(site):
    module = site.install("aa-alstm", hook("ModelSpec('alstm', 'MODULE:Mean')"), entry="a")
    (found,) = reports("aa-alstm")
    assert found == (
        f"skattn: plugin 'a' (aa-alstm 1.2.3) names a model 'alstm', which plugin 'builtin' "
        f"(skattn {skattn.__version__}) has already; the first model is kept, and "
        f"'aa-alstm:alstm' is this one."
    )
    assert get_model("alstm") is skattn.ALSTMRegressor
    assert get_model("skattn:alstm") is skattn.ALSTMRegressor
    assert get_model("aa-alstm:alstm").__module__ == module
    assert make_model("aa-alstm:alstm", shift=2.0).shift == 2.0
    assert names().count("alstm") == 1
    assert find_installed("aa-alstm:alstm").version == "1.2.3"


def test_among_plugins_the_first_distribution_by_name_wins(site):
    # The order of the entry points' names and of installation is the other one.
    second = site.install("b-mine", hook("ModelSpec('mine', 'MODULE:Mean')"), entry="a")
    first = site.install("A-mine", hook("ModelSpec('mine', 'MODULE:Mean')"), entry="b")
    assert len(reports("b-mine 1.2.3")) == 1
    assert get_model("mine").__module__ == first
    assert get_model("a-mine:mine").__module__ == first
    assert get_model("b-mine:mine").__module__ == second
    # A distribution is named as package indexes name it: in any spelling.
    assert get_model("B_Mine:mine").__module__ == second
    (problem,) = own(list_problems(), "b-mine")
    assert (problem.kind, problem.spec.name, problem.plugin) == ("clash", "mine", "a")
    assert "b-mine:mine" in problem.cure
    listed = {each.name: each.distribution for each in list_installed()}
    assert (listed["mine"], listed["b-mine:mine"]) == ("A-mine", "b-mine")


def test_three_models_of_one_name(site):
    modules = {n: site.install(n, hook("ModelSpec('mine', 'MODULE:Mean')")) for n in "cab"}
    assert len(reports("names a model 'mine', which plugin 'a' (a 1.2.3) has")) == 2
    assert {n: get_model(f"{n}:mine").__module__ for n in "abc"} == modules


def test_a_second_model_of_one_name_in_one_distribution_is_lost(site):
    site.install("twice", hook("[ModelSpec('mine', 'MODULE:Mean'), ModelSpec('mine', 'a:b')]"))
    (found,) = reports("twice")
    assert found.endswith("has already; the first model is kept.")
    assert get_model("twice:mine").__name__ == "Mean"
    assert [each.kind for each in own(list_problems(), "twice")] == ["broken"]


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("alsmt", "alstm"),
        ("ALSTM", "alstm"),
        ("skattn:alsmt", "alstm"),
        ("other:alstm", "alstm"),
        ("my.mean", "my-mean"),
        ("my/mean", "my-mean"),
        ("My_Mean", "my-mean"),
        ("second:my_mean", "second:my-mean"),
        ("secnd:my-mean", "second:my-mean"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(site, name, close):
    for each in ("first", "second"):
        site.install(each, hook("ModelSpec('my-mean', 'MODULE:Mean')"))
    assert len(reports("second 1.2.3")) == 1
    with pytest.raises(ValueError, match=rf"^No model is named '{name}'; there are \[") as e:
        get_model(name)
    assert str(e.value).endswith(f"Did you mean '{close}'?")


@pytest.mark.parametrize("name", [":alstm", "alstm:", ":", "a:b:alstm", "skattn:skattn:alstm"])
def test_colons_that_say_nothing(site, name):
    with pytest.raises(ValueError, match=f"^No model is named '{name}'; there are"):
        get_model(name)


def test_the_plugin_of_the_name_failed(site):
    site.install("skattn-mine", "raise RuntimeError('no licence')", entry="entry")
    assert len(reports("skattn-mine")) == 1
    with pytest.raises(ValueError, match=r"No model is named 'mine'.*skattn-mine.*no licence"):
        get_model("mine")


def test_skattn_plugins_suggests_the_nearest(site, monkeypatch):
    site.install("skattn-mine", hook("ModelSpec('mine', 'MODULE:Mean')"), entry="mine")
    monkeypatch.setenv("SKATTN_PLUGINS", "skattn-mien")
    collected.cache_clear()
    (found,) = reports("SKATTN_PLUGINS")
    assert found == (
        "skattn: SKATTN_PLUGINS names 'skattn-mien', which is not installed "
        "(did you mean 'skattn-mine'?)."
    )
    assert [each.source for each in list_problems()] == ["SKATTN_PLUGINS"]


# Names ------------------------------------------------------------------------------------------

BAD_NAMES = {
    "My-Model": "my-model",
    "my.model": "my-model",
    "my/model": "my-model",
    "my_model": "my-model",
    "../model": "model",
    "my:model": "my-model",
    "my model": "my-model",
    "-model": "model",
    "model-": "model",
    "my--model": "my-model",
    "3d-model": "d-model",
    "modèle": "mod-le",
    "model\n": "model",
    "...": "my-model",
    "42": "my-model",
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused_with_a_good_one(name):
    with pytest.raises(ValueError, match=r"^name of a ModelSpec must be lower-case letters") as e:
        ModelSpec(name, "a:b")
    assert f"such as {BAD_NAMES[name]!r}; got {name!r}." in str(e.value)


@pytest.mark.parametrize("name", ["a", "a1", "my-model", "x-2-y"])
def test_a_good_name(name):
    assert ModelSpec(name, "a:b").name == name


@given(st.text())
def test_the_nearest_name_is_valid_or_empty(text):
    assert nearest(text) == "" or ModelSpec(nearest(text), "a:b").name == nearest(text)


def test_a_bad_name_in_a_plugin_is_reported(site):
    site.install("my-bad", hook("ModelSpec('My.Model', 'MODULE:Mean')"))
    (found,) = reports("my-bad")
    assert "ValueError: name of a ModelSpec must be" in found
    assert "such as 'my-model'; got 'My.Model'" in found


# Versions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requires", "version", "is_met"),
    [
        ("", "0.1.0", True),
        (" ", "0.1.0", True),
        (">=0.2", "0.2.0", True),
        (">=0.2", "0.1.9", False),
        (">=0.2,<1", "1.0", False),
        # A prerelease is tried before the version is there.
        (">=0.2", "0.2.dev1", True),
        (">=0.2", "0.2.0rc1", True),
        (">=0.2", "0.3.0a1+local", True),
        ("<0.2", "0.2.0rc1", False),
        ("==0.2.*", "0.2.0rc1", True),
        ("!=0.2.0", "0.2.0rc1", False),
        # Where a prerelease is named, prereleases are compared as they are.
        (">=0.2rc2", "0.2rc1", False),
        (">=0.2rc2", "0.2rc2", True),
        ("==0.2rc1", "0.2rc1", True),
        (">=0.2.post1", "0.2.post1", True),
        (">=0.2.post1", "0.2", False),
    ],
)
def test_versions(requires, version, is_met):
    assert (why_unmet(requires, version) == "") is is_met


def test_a_model_that_needs_another_version(site):
    answer = (
        "[ModelSpec('new', 'MODULE:Mean', requires_skattn='>=99'), ModelSpec('old', 'MODULE:Mean')]"
    )
    site.install("skattn-new", hook(answer), entry="new")
    (found,) = reports("skattn-new")
    here = skattn.__version__
    assert found == (
        f"skattn: plugin 'new' (skattn-new 1.2.3) has a model 'new' that needs skattn>=99; this "
        f"is skattn {here}."
    )
    assert "old" in names()
    assert "new" not in names()
    (problem,) = own(list_problems(), "skattn-new")
    assert (problem.kind, problem.spec.name) == ("version", "new")
    assert problem.cure == "pip install --upgrade skattn skattn-new"
    for name in ("new", "skattn-new:new", "Skattn_New:new"):
        for use in (get_model, make_model):
            with pytest.raises(ImportError, match=rf"^Model '{name}' is left out: .*skattn>=99"):
                use(name)
    with pytest.raises(ValueError, match="No model is named 'other:new'"):
        get_model("other:new")


@pytest.mark.parametrize("requires", ["0.2", ">>0.2", "skattn>=0.2", ">=x", "latest"])
def test_versions_that_are_none_are_reported_by_name(site, requires):
    answer = f"[ModelSpec('new', 'MODULE:Mean', requires_skattn={requires!r})]"
    site.install("skattn-new", hook(answer), entry="new")
    (found,) = reports("skattn-new")
    assert f"has a model 'new' that has requires_skattn={requires!r}, which is no set of" in found
    assert "'>=0.2,<1'" in found
    assert "new" not in names()


def test_a_model_that_needs_another_version_takes_no_name(site):
    site.install("a", hook("ModelSpec('mine', 'MODULE:Mean', requires_skattn='>=99')"))
    module = site.install("b", hook("ModelSpec('mine', 'MODULE:Mean')"))
    assert len(reports("")) == 1
    assert get_model("mine").__module__ == module


def test_a_model_that_needs_this_version(site):
    answer = f"ModelSpec('mine', 'MODULE:Mean', requires_skattn='=={skattn.__version__}')"
    site.install("a", hook(answer))
    assert reports("") == []
    assert get_model("mine").__name__ == "Mean"


def test_problems_are_data_of_every_fault(site):
    site.install("many", hook("[1, 2, 3, 4, ModelSpec('mine', 'MODULE:Mean')]"))
    (found,) = reports("many")
    assert "; and 1 more" in found
    problems = own(list_problems(), "many")
    assert [each.text for each in problems] == [
        f"gave {n}, which is not a ModelSpec with a name" for n in (1, 2, 3, 4)
    ]
    assert {each.cure for each in problems} == {"pip install --upgrade many, or pip uninstall many"}
    assert own(list_problems(), "skattn") == []
