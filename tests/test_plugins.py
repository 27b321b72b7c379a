"""Plugins as strangers publish them: small distributions on sys.path, good ones and broken ones."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import FrozenInstanceError

import pytest
from plugin_site import HEAD, fake_site, hook, names, python, reports
from sklearn.base import BaseEstimator, is_regressor

import skattn
from skattn import ModelSpec, get_model, list_models, make_model
from skattn.models import _specs
from skattn.plugins._collect import collected

BUILTIN = sorted(spec.name for spec in _specs.skattn_models())


@pytest.fixture
def site(tmp_path, monkeypatch):
    with fake_site(tmp_path, monkeypatch) as site:
        yield site


# The built-in models ----------------------------------------------------------------------------


def test_built_in_models_are_listed_by_name(site):
    specs = list_models()
    assert set(BUILTIN) <= {spec.name for spec in specs}
    assert "alstm" in BUILTIN
    assert [spec.name for spec in specs] == sorted(spec.name for spec in specs)
    for spec in specs:
        assert isinstance(spec, ModelSpec)
        assert ":" in spec.target
        if spec.name in BUILTIN:
            assert spec.target.startswith("skattn.models.")
            assert spec.summary
            assert spec.reference


@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_models_are_regressors(site, name):
    model = get_model(name)
    spec = next(spec for spec in list_models() if spec.name == name)
    assert f"{model.__module__}:{model.__name__}" == spec.target
    assert model is get_model(name)
    made = make_model(name, max_epochs=3, random_state=7)
    assert type(made) is model
    assert isinstance(made, BaseEstimator)
    assert is_regressor(made)
    assert (made.max_epochs, made.random_state) == (3, 7)
    with pytest.raises(TypeError, match=rf"{model.__name__}\b.*'hiden'.*'max_epochs'"):
        make_model(name, hiden=3)


def test_model_spec_is_a_value():
    spec = ModelSpec("mine", "mine.model:Mine")
    assert (spec.summary, spec.reference) == ("", "")
    assert spec == ModelSpec(name="mine", target="mine.model:Mine")
    assert hash(spec) == hash(ModelSpec("mine", "mine.model:Mine"))
    with pytest.raises(FrozenInstanceError):
        spec.name = "yours"


def test_public_names_resolve():
    for name in skattn.__all__:
        assert getattr(skattn, name) is not None
        assert name in dir(skattn)
    with pytest.raises(AttributeError, match=r"'skattn'.*'make_modle'"):
        _ = skattn.make_modle


# Good plugins -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "ModelSpec('mean', 'MODULE:Mean', 'A mean')",
        "[ModelSpec('mean', 'MODULE:Mean', 'A mean')]",
        "(ModelSpec('mean', 'MODULE:Mean', 'A mean'), ModelSpec('also', 'MODULE:Mean'))",
    ],
    ids=["one", "list", "tuple"],
)
def test_a_plugin_brings_its_models(site, answer):
    module = site.install("skattn-mean", hook(answer))
    assert reports("skattn-mean") == []
    assert set(BUILTIN) | {"mean"} <= set(names())
    assert names() == sorted(names())
    spec = next(spec for spec in list_models() if spec.name == "mean")
    assert spec == ModelSpec("mean", f"{module}:Mean", "A mean")
    assert get_model("mean") is sys.modules[module].Mean
    made = make_model("mean", shift=2.0, scale=3.0)
    assert (type(made).__name__, made.shift, made.scale) == ("Mean", 2.0, 3.0)
    with pytest.raises(TypeError, match=r"Mean\b.*'a', 'b'.*'shift'"):
        make_model("mean", b=1, a=2, shift=0)


def test_a_plugin_may_be_an_object_of_a_module(site):
    code = HEAD + (
        "class Plugin:\n"
        "    @hookimpl\n"
        "    def skattn_models(self):\n"
        "        return ModelSpec('mean', 'MODULE:Mean')\n"
        "plugin = Plugin()\n"
    )
    site.install("skattn-mean", code, attribute=":plugin")
    assert reports("skattn-mean") == []
    assert make_model("mean").shift == 0.0


def test_a_target_is_imported_on_first_use(site):
    target = site.install("skattn-lazy-model", HEAD, entry="unused")
    (site.folder / "skattn_lazy_model-1.2.3.dist-info" / "entry_points.txt").write_text("")
    plugin = "from skattn import ModelSpec, hookimpl\n@hookimpl\ndef skattn_models():\n"
    site.install("skattn-lazy", plugin + f"    return ModelSpec('lazy', '{target}:Mean')\n")
    assert "lazy" in names()
    assert target not in sys.modules
    assert get_model("lazy").__name__ == "Mean"
    assert target in sys.modules


def test_other_entry_point_groups_are_left_alone(site):
    module = site.install("skattn-mean", "raise RuntimeError('imported')")
    info = site.folder / "skattn_mean-1.2.3.dist-info" / "entry_points.txt"
    info.write_text(f"[skattn.other]\nx = {module}\n[pytest12]\ny = {module}\n")
    collected.cache_clear()
    assert reports("skattn-mean") == []
    assert module not in sys.modules


# Broken plugins ---------------------------------------------------------------------------------


def install_good(site) -> None:
    """Plugins sorted before and after whatever the test installs."""
    site.install("a-good", hook("ModelSpec('good-a', 'MODULE:Mean')"))
    site.install("zz-good", hook("ModelSpec('good-z', 'MODULE:Mean')"))


def assert_others_work() -> None:
    assert {*BUILTIN, "good-a", "good-z"} <= set(names())
    for name in ("good-a", "good-z"):
        assert make_model(name, shift=1.0).shift == 1.0


MISSPELT = "from skattn import hookimpl\n@hookimpl\ndef skattn_model():\n    return []\n"
BROKEN = {
    "import": ("import skattn_no_such_module", "ModuleNotFoundError.*'skattn_no_such_module'"),
    "syntax": ("def (", "SyntaxError"),
    "raises": ("raise RuntimeError('no licence')", "RuntimeError.*no licence"),
    "no module": (None, r"ModuleNotFoundError.*'skattn_fake_\d+'"),
    "hook raises": (hook("1 / 0"), "ZeroDivisionError"),
    "hook's arguments": (
        hook("[]").replace("skattn_models()", "skattn_models(config)"),
        "PluginValidationError.*config",
    ),
    "a string": (hook("'MODULE:Mean'"), r"'skattn_fake_\d+:Mean'.*ModelSpec"),
    "a number": (hook("[3]"), r"\) .*\b3\b.*ModelSpec"),
    "a class": (hook("Mean"), "<class .*Mean'>.*ModelSpec"),
    "a dict": (hook("{'mine': 'MODULE:Mean'}"), r"\{'mine': .*\}.*ModelSpec"),
    "taken": (
        hook(f"ModelSpec({BUILTIN[0]!r}, 'MODULE:Mean')"),
        rf"{BUILTIN[0]!r}.*'builtin' \(skattn .*\)",
    ),
    "twice": (
        hook("[ModelSpec('mine', 'MODULE:Mean'), ModelSpec('mine', 'MODULE:Required')]"),
        r"'mine'.*'broken' \(my-broken 1\.2\.3\)",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_reported_once_and_the_others_work(site, case):
    code, message = BROKEN[case]
    install_good(site)
    site.install("my-broken", code, entry="broken")
    found = reports("my-broken")
    assert len(found) == 1
    assert found[0].startswith("skattn: plugin 'broken' (my-broken 1.2.3) ")
    assert re.search(message, found[0], re.DOTALL)
    assert_others_work()
    # The first to name a model keeps it.
    assert get_model(BUILTIN[0]).__module__.startswith("skattn.models.")
    if case == "twice":
        assert get_model("mine").__name__ == "Mean"


def test_the_good_models_of_a_plugin_survive_its_bad_ones(site):
    site.install("half", hook("[ModelSpec('one', 'MODULE:Mean'), 'x', ModelSpec('two', 'a:b')]"))
    assert len(reports("half 1.2.3")) == 1
    assert {"one", "two"} <= set(names())


def test_a_model_that_two_plugins_name(site):
    first = site.install("first", hook("ModelSpec('mine', 'MODULE:Mean')"))
    site.install("second", hook("ModelSpec('mine', 'MODULE:Mean')"))
    (found,) = reports("second")
    assert "plugin 'second' (second 1.2.3) names a model 'mine'" in found
    assert "plugin 'first' (first 1.2.3) has already" in found
    assert get_model("mine").__module__ == first


def test_a_missing_entry_attribute(site):
    install_good(site)
    site.install("my-broken", hook("[]"), attribute=":plugin")
    (found,) = reports("my-broken")
    assert "could not be loaded: AttributeError" in found
    assert_others_work()


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("MODULE:Nope", ImportError, "skattn_fake_.*'Nope'"),
        ("skattn_nowhere.model:Mean", ImportError, r"skattn_nowhere\.model:Mean.*'skattn_nowhere'"),
        ("MODULE", ImportError, r"'skattn_fake_\d+'.*module:Class"),
        (None, ImportError, r"\bNone\b.*module:Class"),
        ("MODULE:Thing", TypeError, r"regressor.*<class .*Thing'>"),
        ("MODULE:Label", TypeError, r"regressor.*<class .*Label'>"),
        ("MODULE:Required", TypeError, r"arguments.*Required.*'shift'"),
        ("MODULE:skattn_models", TypeError, r"regressor.*<function skattn_models\b"),
        ("MODULE:__name__", TypeError, r"regressor.*'skattn_fake_\d+'"),
        ("os:getcwd", TypeError, r"regressor.*\bgetcwd\b"),
    ],
)
def test_a_target_that_is_no_regressor(site, target, error, message):
    install_good(site)
    site.install("my-broken", hook(f"ModelSpec('broken', {target!r})"), entry="entry")
    assert reports("my-broken") == []
    assert "broken" in names()
    source = r"'broken'.*'entry'.*my-broken 1\.2\.3\b.*"
    for use in (get_model, make_model):
        with pytest.raises(error, match=source + message):
            use("broken")
    assert_others_work()


def test_a_class_without_tags_is_not_said_to_need_arguments(site):
    site.install("my-broken", hook("ModelSpec('broken', 'MODULE:Thing')"))
    with pytest.raises(TypeError, match=r"'broken'.*my-broken\b.*Thing") as caught:
        get_model("broken")
    assert "without arguments" not in str(caught.value)


def test_a_target_that_fails_to_import(site):
    target = site.install("broken-model", "raise RuntimeError('no licence')", entry="unused")
    (site.folder / "broken_model-1.2.3.dist-info" / "entry_points.txt").write_text("")
    site.install("my-broken", hook(f"ModelSpec('broken', '{target}:Mean')"))
    with pytest.raises(ImportError, match=rf"my-broken 1\.2\.3\b.*{target}:Mean.*no licence"):
        get_model("broken")


@pytest.mark.parametrize("name", ["3", "None", "['mine']"])
def test_a_name_that_is_no_string(site, name):
    install_good(site)
    site.install("my-broken", hook(f"ModelSpec({name}, 'MODULE:Mean')"))
    assert len(reports("my-broken")) == 1
    assert_others_work()


@pytest.mark.parametrize(
    "code",
    ["x = 1", MISSPELT, hook("[]").replace("@hookimpl", ""), hook("None")],
    ids=["no hook", "misspelt hook", "forgotten @hookimpl", "hook returns None"],
)
def test_a_plugin_that_brings_nothing_is_reported(site, code):
    install_good(site)
    site.install("my-broken", code)
    (found,) = reports("my-broken")
    assert "brings no model" in found
    assert_others_work()


# Choosing ---------------------------------------------------------------------------------------


def install_three(site) -> None:
    for name in ("one", "two", "three"):
        site.install(f"skattn-{name}", hook(f"ModelSpec('{name}', 'MODULE:Mean')"), entry=name)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, {"one", "two", "three"}),
        ("", set()),
        (" , ", set()),
        ("one", {"one"}),
        ("skattn-two", {"two"}),
        ("three, skattn-one ,", {"one", "three"}),
        ("builtin", set()),
    ],
)
def test_skattn_plugins_chooses(site, monkeypatch, chosen, expected):
    install_three(site)
    if chosen is not None:
        monkeypatch.setenv("SKATTN_PLUGINS", chosen)
    assert reports("SKATTN_PLUGINS") == []
    ours = {"one", "two", "three"}
    assert set(names()) & ours == expected
    assert set(BUILTIN) <= set(names())
    if chosen is not None:
        assert set(names()) == expected | set(BUILTIN)
        loaded = {module for module in site.modules if module in sys.modules}
        assert len(loaded) == len(expected)


def test_skattn_plugins_names_something_that_is_not_installed(site, monkeypatch):
    install_three(site)
    monkeypatch.setenv("SKATTN_PLUGINS", "one,nowhere")
    (found,) = reports("SKATTN_PLUGINS")
    assert "'nowhere', which is not installed" in found
    assert set(names()) == {*BUILTIN, "one"}


def test_a_plugin_that_is_not_chosen_does_no_harm(site, monkeypatch):
    site.install("my-broken", "raise RuntimeError('imported')")
    monkeypatch.setenv("SKATTN_PLUGINS", "")
    assert reports("my-broken") == []


def test_a_plugin_may_not_pass_for_the_built_in_models(site, monkeypatch):
    site.install("my-builtin", hook("ModelSpec('mine', 'MODULE:Mean')"), entry="builtin")
    assert "mine" in names()
    monkeypatch.setenv("SKATTN_PLUGINS", "")
    collected.cache_clear()
    assert names() == BUILTIN


@pytest.mark.parametrize("chosen", ["my-plug", "My_Plug"])
def test_skattn_plugins_takes_any_spelling_of_a_distribution(site, monkeypatch, chosen):
    site.install("My-plug", hook("ModelSpec('mine', 'MODULE:Mean')"), entry="entry")
    monkeypatch.setenv("SKATTN_PLUGINS", chosen)
    assert reports("SKATTN_PLUGINS") == []
    assert "mine" in names()


# Names ------------------------------------------------------------------------------------------


def test_an_unknown_model(site):
    site.install("skattn-mean", hook("ModelSpec('mean-model', 'MODULE:Mean')"))
    with pytest.raises(ValueError, match=r"'alsmt'.*\[.*'alstm'.*\].*'alstm'"):
        get_model("alsmt")
    with pytest.raises(ValueError, match=r"'mean_model'.*\].*'mean-model'"):
        make_model("mean_model")
    with pytest.raises(ValueError, match=r"'qqqq'.*'mean-model'") as e:
        get_model("qqqq")
    assert "Did you mean" not in str(e.value)
    with pytest.raises(ValueError, match=r"\bNone\b.*'alstm'"):
        get_model(None)


# In a fresh interpreter -------------------------------------------------------------------------


def test_listing_models_imports_nothing_heavy():
    ran = python(
        """
        import json, sys
        import skattn
        first = set(sys.modules)
        names = [spec.name for spec in skattn.list_models()]
        print(json.dumps([names, sorted({name.partition(".")[0] for name in sys.modules})]))
        """,
        SKATTN_PLUGINS="",
    )
    listed, modules = json.loads(ran.stdout)
    assert listed == BUILTIN
    heavy = {"torch", "skorch", "matplotlib", "sklearn", "scipy", "pandas", "numpy"}
    assert heavy & set(modules) == set()
    assert ran.stderr == ""


def test_plugins_on_pythonpath(site):
    site.install("my-mean", hook("ModelSpec('mean', 'MODULE:Mean')"))
    site.install("my-broken", "import skattn_no_such_module", entry="broken")
    ran = python(
        """
        import json, skattn
        names = [spec.name for spec in skattn.list_models()]
        skattn.list_models()
        print(json.dumps([names, repr(skattn.make_model("mean", shift=2.0))]))
        """,
        folder=site.folder,
        SKATTN_PLUGINS="my-mean,my-broken",
    )
    listed, made = json.loads(ran.stdout)
    assert listed == sorted([*BUILTIN, "mean"])
    assert made == "Mean(shift=2.0)"
    assert ran.stderr.count("plugin 'broken' (my-broken 1.2.3) could not be loaded") == 1


def test_a_spec_can_be_hashed():
    spec = ModelSpec("a", "b:c", qlib=["x:y"], qlib_parameters={"base_model": "rnn"})
    assert spec.qlib == ("x:y",)
    assert hash(spec) == hash(ModelSpec("a", "b:c", qlib=("x:y",)))
