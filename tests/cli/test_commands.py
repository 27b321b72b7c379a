"""The commands models, info, check and doctor, as a user sees them."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import PackageNotFoundError
from types import ModuleType
from unittest import SkipTest

import pytest
from click.testing import CliRunner
from plugin_site import fake_site, hook, python

import skattn
from skattn.cli import _doctor, main
from skattn.models import _specs

BUILTIN = sorted(spec.name for spec in _specs.skattn_models())


@pytest.fixture
def site(tmp_path, monkeypatch):
    with fake_site(tmp_path, monkeypatch) as site:
        # What else is installed here is no business of the tests.
        monkeypatch.setenv("SKATTN_PLUGINS", "")
        monkeypatch.setenv("COLUMNS", "80")

        def install(name, *args, **kwargs):
            monkeypatch.setenv("SKATTN_PLUGINS", f"{os.environ['SKATTN_PLUGINS']},{name}")
            return put(name, *args, **kwargs)

        put, site.install = site.install, install
        yield site


def run(*arguments, code=0):
    ran = CliRunner().invoke(main, list(arguments), prog_name="skattn")
    assert ran.exit_code == code, ran.output
    assert ran.exception is None or isinstance(ran.exception, SystemExit)
    return ran


def words(text: str) -> str:
    """Text without the line breaks of a narrow terminal."""
    return " ".join(text.split())


# All commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("models",),
        *(("info", name) for name in BUILTIN),
        ("doctor",),
        *((name, "--help") for name in ("models", "info", "check", "new-plugin", "doctor")),
    ],
    ids=" ".join,
)
def test_output_is_readable_at_80_columns(site, monkeypatch, command):
    # The path of a checkout may be longer.
    monkeypatch.setattr(skattn, "__file__", "/lib/skattn/__init__.py")
    lines = run(*command).output.splitlines()
    assert len(lines) > 4
    assert [line for line in lines if len(line) > 80] == []


def test_python_m_skattn_is_the_same_command():
    ran = python(
        """
        import runpy, sys
        sys.argv[1:] = ["--version"]
        runpy.run_module("skattn", run_name="__main__")
        """
    )
    assert ran.stdout == f"skattn, version {skattn.__version__}\n"


def test_skattn_alone_explains_itself(site):
    output = run().output
    for command in ("models", "info", "check", "new-plugin", "doctor"):
        assert f"\n  {command} " in output


@pytest.mark.parametrize("command", ["info", "check"])
@pytest.mark.parametrize("name", ["alsmt", "ALSTM", "al/stm", "skattn:alsmt"])
def test_an_unknown_name_suggests_the_nearest(site, command, name):
    ran = run(command, name, code=2)
    assert f"No model is named '{name}'" in ran.stderr
    assert "Did you mean 'alstm'?" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_model_that_cannot_be_loaded(site, command):
    site.install(
        "my-broken",
        hook(
            "[ModelSpec('broken', 'skattn_nowhere:Mean'), ModelSpec('label', 'MODULE:Label'),"
            " ModelSpec('new', 'MODULE:Mean', requires_skattn='>=99')]"
        ),
    )
    assert "my-broken 1.2.3) cannot be imported" in run(command, "broken", code=1).stderr
    assert "must be a regressor's class" in run(command, "label", code=1).stderr
    assert "needs skattn>=99" in run(command, "new", code=1).stderr


# Models -----------------------------------------------------------------------------------------


def test_listing_imports_nothing_heavy():
    ran = python(
        """
        import sys
        from skattn.cli import main
        main(["models"], standalone_mode=False)
        heavy = {"torch", "skorch", "sklearn", "scipy", "pandas", "numpy", "matplotlib"}
        print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
        """,
        SKATTN_PLUGINS="",
    )
    *listed, heavy = ran.stdout.splitlines()
    assert heavy == "[]"
    assert set(BUILTIN) <= {line.split(" ")[0] for line in listed}
    assert ran.stderr == ""


def test_models_as_json(site):
    listed = json.loads(run("models", "--json").stdout)
    assert listed["problems"] == []
    assert [each["name"] for each in listed["models"]] == BUILTIN
    gru = listed["models"][BUILTIN.index("gru")]
    assert gru["class"] == "skattn.models.gru:GRURegressor"
    assert (gru["distribution"], gru["version"]) == ("skattn", skattn.__version__)
    assert gru["summary"] == "Last state of gated recurrent units"


def test_models_say_why_a_model_is_not_loaded(site):
    site.install("aa", hook("ModelSpec('mine', 'MODULE:Mean', 'First')"), version="0.3")
    site.install("bb", hook("ModelSpec('mine', 'MODULE:Mean', 'Second')"))
    site.install("cc", hook("ModelSpec('new', 'MODULE:Mean', requires_skattn='>=99')"))
    site.install("dd", "raise RuntimeError('no licence')", entry="dee")
    ran = run("models")
    assert ran.stderr == ""
    rows = words(ran.stdout)
    assert "mine Mean aa 0.3 First" in rows
    assert "bb:mine Mean bb 1.2.3 Second" in rows
    assert "needs skattn>=99" in rows
    assert "dee dd 1.2.3 could not be loaded: RuntimeError: no licence" in rows
    problems = json.loads(run("models", "--json").stdout)["problems"]
    assert [(each["distribution"], each["kind"], each["model"]) for each in problems] == [
        ("bb", "clash", "mine"),
        ("cc", "version", "new"),
        ("dd", "broken", None),
    ]
    assert all(each["cure"] for each in problems)


def test_what_strangers_write_is_shown_and_not_interpreted(site):
    summary = "[bold]red[/] \\x1b[31m\\a one\\ntwo [/nope] :smile: "
    before = "print('hello')"
    site.install("my-odd", hook(f'ModelSpec("odd", "MODULE:Mean", "{summary}")', before))
    ran = run("models")
    assert "[bold]red[/] [31m one two [/nope] :smile:" in words(ran.stdout)
    assert "\x1b" not in ran.stdout
    assert "\a" not in ran.stdout
    # A plugin that prints breaks no JSON.
    ran = run("models", "--json")
    odd = next(each for each in json.loads(ran.stdout)["models"] if each["name"] == "odd")
    assert odd["summary"].startswith("[bold]red[/] \x1b[31m\a one\ntwo")


def test_a_terminal_that_lacks_letters(site):
    site.install("my-odd", hook('ModelSpec("odd", "MODULE:Mean", "Schätzung λ")'))
    ran = python(
        "from skattn.cli import main; main(['models'])",
        folder=site.folder,
        PYTHONIOENCODING="ascii",
    )
    assert "Sch?tzung ?" in words(ran.stdout)


# Info -------------------------------------------------------------------------------------------


def test_info_describes_a_model(site):
    said = words(run("info", "alstm").stdout)
    for part in (
        "alstm Recurrent network (GRU or LSTM) with attention over time",
        "class skattn.models.alstm:ALSTMRegressor",
        f"from skattn {skattn.__version__}",
        "reference Qin et al. 2017, arXiv 1704.02971; qlib pytorch_alstm.py",
        "rnn 'gru' one of 'gru', 'lstm' Recurrent unit",
        "lr 0.001 a float above 0 Learning rate",
    ):
        assert part in said


def test_info_as_json(site):
    said = json.loads(run("info", "alstm", "--json").stdout)
    assert said["name"] == "alstm"
    assert "Parameters" not in said["description"]
    parameters = {each["name"]: each for each in said["parameters"]}
    assert set(parameters) == set(skattn.ALSTMRegressor().get_params())
    assert parameters["hidden_size"] == {
        "name": "hidden_size",
        "default": 64,
        "allowed": "an int of at least 2 and at most 65,536",
        "doc": "Size of the state; the attention network is half as wide.",
        "own": True,
    }
    assert parameters["early_stopping"]["default"] == "auto"
    assert parameters["freeze"]["default"] == []
    assert [name for name, each in parameters.items() if each["own"]] == [
        "hidden_size",
        "num_layers",
        "rnn",
        "dropout",
    ]


def test_info_of_one_among_models_of_one_name(site):
    module = site.install("other", hook("ModelSpec('alstm', 'MODULE:Mean', 'Another')"))
    said = json.loads(run("info", "other:alstm", "--json").stdout)
    assert (said["name"], said["class"]) == ("other:alstm", f"{module}:Mean")
    # A regressor that declares nothing has its defaults.
    assert [(each["name"], each["default"]) for each in said["parameters"]] == [
        ("scale", 1.0),
        ("shift", 0.0),
    ]
    assert "shift 0.0" in words(run("info", "other:alstm").stdout)
    assert json.loads(run("info", "alstm", "--json").stdout)["distribution"] == "skattn"


def test_info_of_a_class_that_breaks(site):
    code = """
    class Broken(Mean):
        def get_params(self, deep=True):
            raise RuntimeError("no parameters")

    class Evil:
        def __repr__(self):
            raise RuntimeError("no repr")

    class Odd(Mean):
        def get_params(self, deep=True):
            return {"evil": Evil()}
    """
    answer = "[ModelSpec('broken', 'MODULE:Broken'), ModelSpec('odd', 'MODULE:Odd')]"
    site.install("my-broken", hook(answer, code))
    said = run("info", "broken", code=1).stderr
    assert "my-broken 1.2.3): Broken does not name its parameters: RuntimeError('no pa" in said
    assert "evil a Evil" in words(run("info", "odd").stdout)
    (parameter,) = json.loads(run("info", "odd", "--json").stdout)["parameters"]
    assert parameter["default"] == "a Evil"


def test_json_has_no_infinity(site):
    code = "class Far(Mean):\n    def __init__(self, far=float('inf'), what=Mean):\n        pass\n"
    code += "    def get_params(self, deep=True):\n"
    code += "        return {'far': float('inf'), 'what': Mean}\n"
    site.install("far", hook("ModelSpec('far', 'MODULE:Far')", code))
    said = run("info", "far", "--json").stdout
    parameters = json.loads(said, parse_constant=pytest.fail)["parameters"]
    assert parameters[0]["default"] == "inf"
    assert parameters[1]["default"].startswith("<class ")


# Check ------------------------------------------------------------------------------------------


@pytest.fixture
def kit(monkeypatch):
    """A stand-in for skattn.testing, with results of every kind."""
    results = [
        {"check_name": "check_one", "status": "passed", "exception": None},
        {"check_name": "check_two", "status": "skipped", "exception": SkipTest("no GPU")},
    ]

    def check_model(estimator, *, on_fail="raise", on_result=None, checks=None, exclude=()):
        assert isinstance(estimator, skattn.GRURegressor)
        assert on_fail is None
        chosen = [
            result
            for result in results
            if result["check_name"] not in exclude
            and (checks is None or result["check_name"] in checks)
        ]
        for result in chosen:
            if on_result is not None:
                on_result(result)
        return chosen

    module = ModuleType("skattn.testing")
    module.check_model = check_model
    monkeypatch.setitem(sys.modules, "skattn.testing", module)
    return results


FAILED = {
    "check_name": "check_three",
    "status": "failed",
    "exception": AssertionError("Days see each other:\nflatten no days."),
}


def test_check_passes(site, kit):
    lines = run("check", "gru").stdout.splitlines()
    assert lines[0].startswith("passed ")
    assert lines[0].endswith(" check_one")
    assert lines[-1].startswith("gru: 1 passed, 1 skipped in ")


def test_where_no_fit_succeeds_the_rest_is_not_run(kit):
    kit.insert(0, {**FAILED, "check_name": "check_fit_and_predict"})
    said = run("check", "gru", code=1).stdout
    assert "check_one" not in said
    assert "The other checks were not run" in said


def test_check_fails(site, kit):
    kit.append(FAILED)
    said = run("check", "skattn:gru", code=1).stdout
    assert "Days see each other:\nflatten no days.\n" in said
    assert "1 failed, 1 passed, 1 skipped" in said
    assert said.splitlines()[-1] == "failed: check_three"


def test_check_as_json(site, kit):
    said = json.loads(run("check", "gru", "--json").stdout)
    assert (said["name"], said["ok"]) == ("gru", True)
    assert said["counts"] == {"passed": 1, "skipped": 1}
    kit.append(FAILED)
    said = json.loads(run("check", "gru", "--json", code=1).stdout)
    assert said["ok"] is False
    assert said["checks"][0] == {"check": "check_one", "status": "passed", "message": ""}
    assert said["checks"][1]["message"] == "no GPU"
    assert said["checks"][2]["message"].startswith("Days see each other:")


def test_what_the_model_itself_raised_has_its_class(site, kit):
    kit.append({**FAILED, "exception": KeyError("lag")})
    kit.append({**FAILED, "exception": AssertionError()})
    said = run("check", "gru", code=1).stdout
    assert "\nKeyError: 'lag'\n" in said
    assert "\nAssertionError:\n" in said


# Doctor -----------------------------------------------------------------------------------------


def test_a_healthy_doctor(site):
    found = json.loads(run("doctor", "--json").stdout)
    assert found["ok"] is True
    assert found["versions"]["python"].startswith(sys.version.split()[0])
    assert found["versions"]["skattn"].startswith(f"{skattn.__version__} in ")
    assert {"torch", "scikit-learn", "numpy"} <= set(found["versions"])
    assert found["devices"][0].startswith("cpu")
    assert found["threads"]["torch"] >= 1
    assert found["recurrent layers"].startswith(("compiled, by numba ", "torch's own: "))
    assert found["plugins"] == [
        {"distribution": "skattn", "version": skattn.__version__, "models": BUILTIN}
    ]
    assert run("doctor").stdout.rstrip().endswith("Nothing is broken.")


SICK = {
    "import": ("raise RuntimeError('no licence')", "could not be loaded: RuntimeError", "broken"),
    "target": (hook("ModelSpec('mine', 'nowhere:Mean')"), "cannot be imported from", "broken"),
    "class": (hook("ModelSpec('mine', 'MODULE:Label')"), "must be a regressor's class", "broken"),
    "version": (
        hook("ModelSpec('mine', 'MODULE:Mean', requires_skattn='>=99')"),
        "has a model 'mine' that needs skattn>=99",
        "version",
    ),
}


@pytest.mark.parametrize("case", SICK)
def test_a_sick_plugin(site, case):
    code, text, kind = SICK[case]
    site.install("my-sick", code)
    found = json.loads(run("doctor", "--json", code=1).stdout)
    (problem,) = found["problems"]
    assert text in problem["text"]
    assert (problem["kind"], problem["distribution"]) == (kind, "my-sick")
    assert "pip install --upgrade" in problem["cure"]
    said = words(run("doctor", code=1).stdout)
    assert "cure: pip install --upgrade" in said
    assert "Nothing is broken" not in said


def test_a_clash_is_told_and_breaks_nothing(site):
    site.install("other", hook("ModelSpec('alstm', 'MODULE:Mean')"))
    found = json.loads(run("doctor", "--json").stdout)
    assert [each["kind"] for each in found["problems"]] == ["clash"]
    assert found["plugins"][1]["models"] == ["other:alstm"]
    assert "clash: plugin 'other' (other 1.2.3) names a model 'alstm'" in words(
        run("doctor").stdout
    )


def test_a_plugin_that_skattn_plugins_misspells(site, monkeypatch):
    monkeypatch.setenv("SKATTN_PLUGINS", "nowhere")
    (problem,) = json.loads(run("doctor", "--json", code=1).stdout)["problems"]
    assert problem["text"] == "names 'nowhere', which is not installed"
    assert "SKATTN_PLUGINS" in problem["cure"]


@pytest.mark.parametrize(
    ("installed", "text"),
    [("1.0", "is 1.0; skattn needs skorch>="), (None, "is missing; skattn needs skorch>=")],
)
def test_a_dependency_that_is_old_or_missing(site, monkeypatch, installed, text):
    here = _doctor.version

    def version(name):
        if name != "skorch":
            return here(name)
        if installed is None:
            raise PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(_doctor, "version", version)
    found = json.loads(run("doctor", "--json", code=1).stdout)
    (problem,) = found["problems"]
    assert problem["text"].startswith(text)
    assert problem["cure"].startswith('pip install "skorch>=')
    assert found["versions"]["skorch"] == (installed or "missing")


def test_torch_that_cannot_be_imported(site, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (problem,) = json.loads(run("doctor", "--json", code=1).stdout)["problems"]
    assert problem["source"] == "torch"
    assert problem["text"].startswith("cannot be imported: ModuleNotFoundError")


def test_two_copies_of_skattn(site, monkeypatch):
    monkeypatch.setattr(skattn, "__version__", "99.0")
    problems = json.loads(run("doctor", "--json", code=1).stdout)["problems"]
    assert [each["kind"] for each in problems] == ["version"]
    assert "is 99.0 here, but" in problems[0]["text"]
