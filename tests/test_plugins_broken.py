"""Plugins that break in every way we know: one named warning, and everything else lives."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import warnings
from importlib.metadata import entry_points

import pytest
from plugin_site import HEAD, fake_site, hook, names, python, reports

from skattn import ModelSpec, get_model, list_models, make_model
from skattn.models import _specs
from skattn.plugins._collect import collected

BUILTIN = sorted(spec.name for spec in _specs.skattn_models())
GOOD = ["good-a", "good-z"]

EVIL = """
class Evil:
    def __repr__(self, *args):
        raise SystemExit("no repr")
    __str__ = __eq__ = __iter__ = __len__ = __bool__ = __getattr__ = __repr__
    __hash__ = None

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

class Own(BaseException):
    pass

class Unhashable(str):
    __hash__ = None

class Anything(list):
    def __iter__(self):
        raise SystemExit

class Meta(type):
    def __repr__(cls):
        raise RuntimeError("no repr")
    def __instancecheck__(cls, instance):
        raise RuntimeError("no check")
    __getattr__ = __instancecheck__
    __name__ = property(__repr__)

class Trap(metaclass=Meta):
    __class__ = property(lambda self: 1 / 0)
    __repr__ = None

class Rebel(ModelSpec):
    def __post_init__(self):
        pass

"""


def evil(answer: str) -> str:
    return hook(answer, EVIL)


def raising(what: str) -> str:
    return f"{HEAD}{EVIL}\nraise {what}\n"


ASKING = "could not be loaded: RuntimeError: A plugin asks for skattn's models"
# The name of a case: the plugin's code, what its warning says, and how it is installed.
BROKEN = {
    "exit at import": ("import sys; sys.exit()", "could not be loaded: SystemExit", {}),
    "exit with a code": ("import sys; sys.exit(3)", "could not be loaded: SystemExit: 3", {}),
    "exit in the hook": (hook("exit(3)"), "could not be loaded: SystemExit: 3", {}),
    "generator's exit": ("raise GeneratorExit", "could not be loaded: GeneratorExit", {}),
    "cancelled": (
        "import asyncio\nraise asyncio.CancelledError('late')",
        "could not be loaded: CancelledError: late",
        {},
    ),
    "interrupt of its own": (
        "def stop():\n    raise KeyboardInterrupt('licence')\nstop()",
        "could not be loaded: KeyboardInterrupt: licence",
        {},
    ),
    "exception of its own": (raising("Own(3)"), "could not be loaded: Own: 3", {}),
    "error without text": (raising("Silent"), "could not be loaded: Silent: <Silent that", {}),
    "error in the hook": (hook("1 / 0"), "could not be loaded: ZeroDivisionError", {}),
    "error of a megabyte": (raising("ValueError('x' * 2**20)"), r"ValueError: x{1000}\.\.\.\.", {}),
    "group of errors": (
        raising("BaseExceptionGroup('all', [Own(), SystemExit()])"),
        "could not be loaded: BaseExceptionGroup: all",
        {},
    ),
    "answer without repr": (evil("Evil()"), "gave <Evil that cannot be shown>.*ModelSpec", {}),
    "answer of a bad class": (evil("[Trap()]"), "gave <Trap that cannot be shown>.*ModelSpec", {}),
    "answer is a bad class": (evil("Trap"), "gave <Meta that cannot be shown>.*ModelSpec", {}),
    "answer of no list": (evil("Anything()"), "could not be loaded: SystemExit", {}),
    "many bad answers": (evil("[1, 2, Evil(), 4, 5]"), "gave 1, .*; and 2 more", {}),
    "plugin is evil": (EVIL + "plugin = Evil()", "could not be loaded", {"attribute": ":plugin"}),
    "plugin is None": ("plugin = None", "brings no model", {"attribute": ":plugin"}),
    "no name": (hook("ModelSpec('', 'a:b')"), "ValueError: name .* empty; got ''", {}),
    "blank name": (hook("ModelSpec(' ', 'a:b')"), "ValueError: name .* empty; got ' '", {}),
    "name is a list": (hook("ModelSpec(['x'], 'a:b')"), r"TypeError: name .* str; got \['x'\]", {}),
    "name is evil": (evil("ModelSpec(Evil(), 'a:b')"), "TypeError: name .* <Evil that", {}),
    "name without hash": (
        evil("ModelSpec(Unhashable('x'), 'a:b')"),
        "TypeError: name .* hashable; got 'x'",
        {},
    ),
    "summary is evil": (evil("ModelSpec('x', 'a:b', Evil())"), "TypeError: summary .* str", {}),
    "unchecked spec": (evil("Rebel(['x'], 'a:b')"), "which is not a ModelSpec with a name", {}),
    "unmade spec": (hook("ModelSpec.__new__(ModelSpec)"), "which is not a ModelSpec", {}),
    "changed spec": (
        hook("spec", "spec = ModelSpec('x', 'a:b')\nvars(spec).update(name={})"),
        "which is not a ModelSpec with a name",
        {},
    ),
    "lists in the hook": (hook("__import__('skattn').list_models()"), ASKING, {}),
    "lists at import": ("import skattn\nskattn.list_models()", ASKING, {}),
    "gets in the hook": (hook("__import__('skattn').get_model('alstm')"), ASKING, {}),
    "makes at import": ("import skattn\nskattn.make_model('alstm')", ASKING, {}),
    "no METADATA": (
        hook("ModelSpec('works', 'MODULE:Mean')"),
        "metadata give no Name and no Version",
        {"metadata": None},
    ),
    "METADATA of bytes": (
        hook("ModelSpec('works', 'MODULE:Mean')"),
        "metadata give no Name and no Version",
        {"metadata": bytes(range(256))},
    ),
    "no Name": (
        hook("ModelSpec('works', 'MODULE:Mean')"),
        "metadata give no Name",
        {"metadata": "Metadata-Version: 2.1\nVersion: 1.2.3\n"},
    ),
    "empty Version": (
        hook("ModelSpec('works', 'MODULE:Mean')"),
        "metadata give no Version",
        {"metadata": "Name: my-broken\nVersion:\n"},
    ),
    "no METADATA, no module": (None, "give no Name.*; could not be loaded", {"metadata": None}),
    "built-in models again": (
        None,
        "names a model.*'builtin' \\(skattn .* has already; .*; and 3 more",
        {"entries": "[skattn]\n{entry} = skattn.models._specs\n"},
    ),
    "no reference to a module": (
        None,
        "could not be loaded",
        {"entries": "[skattn]\n{entry} = what? ever!\n"},
    ),
}
# The whole file of entry points is lost: no plugin has a name.
UNREADABLE = {
    "a line without =": "[skattn]\nbroken\n",
    "another group's line": "[console_scripts]\nbroken\n[skattn]\nbroken = MODULE\n",
    "bytes": b"[skattn]\nbroken = \xff\xfe\n",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    with fake_site(tmp_path, monkeypatch) as site:
        # Good plugins, sorted before and after whatever the test installs.
        for name in GOOD:
            site.install(
                name if name == "good-a" else "zz-good",
                hook(f"ModelSpec('{name}', 'MODULE:Mean')"),
                entry="a" if name == "good-a" else "zz",
            )
        yield site


def assert_others_work() -> None:
    assert {*BUILTIN, *GOOD} <= set(names())
    for name in GOOD:
        assert make_model(name, shift=1.0).shift == 1.0
    assert get_model("gru").__module__ == "skattn.models.gru"
    repr(list_models())


# Listing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_reported_once_and_the_others_live(site, case):
    code, message, options = BROKEN[case]
    site.install("my-broken", code, entry="broken", **options)
    (found,) = reports("")
    assert re.match(r"skattn: plugin 'broken' \(my.broken 1\.2\.3\) ", found)
    assert re.search(message, found, re.DOTALL)
    assert len(found) < 1500
    assert ("works" in names()) == ("'works'" in (code or ""))
    assert_others_work()


@pytest.mark.parametrize("case", UNREADABLE)
def test_entry_points_that_cannot_be_read(site, monkeypatch, case):
    site.install("my-broken", None, entries=UNREADABLE[case])
    (found,) = reports("")
    assert found.startswith(
        "skattn: distribution my-broken 1.2.3 has entry points that cannot be read: "
    )
    assert_others_work()
    monkeypatch.setenv("SKATTN_PLUGINS", "my-broken")
    collected.cache_clear()
    assert len(reports("my-broken 1.2.3")) == 1
    monkeypatch.setenv("SKATTN_PLUGINS", "a")
    collected.cache_clear()
    assert reports("") == []


def test_broken_entry_points_of_other_packages_are_not_our_business(site):
    site.install("unrelated", None, entries="[console_scripts]\nbroken\n")
    assert reports("") == []
    assert_others_work()


def test_a_folder_of_metadata_without_a_name(site):
    site.install("my-broken", hook("ModelSpec('works', 'MODULE:Mean')"), entry="broken")
    folder = site.folder / "my_broken-1.2.3.dist-info"
    (folder / "METADATA").unlink()
    folder.rename(site.folder / ".dist-info")
    collected.cache_clear()
    (found,) = reports("")
    assert found.startswith("skattn: plugin 'broken' (a distribution without a name) ")
    assert "works" in names()
    assert_others_work()


def test_a_finder_of_distributions_that_fails(site, monkeypatch):
    class Finder:
        def find_spec(self, *args):
            return None

        def find_distributions(self, *args):
            raise RuntimeError("no network")

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    collected.cache_clear()
    (found,) = reports("")
    assert found == "skattn: the list of distributions ends in RuntimeError: no network."
    assert_others_work()


def test_the_first_distribution_of_a_name_counts(site):
    # As importlib.metadata has it: the second is shadowed, and its entry points with it.
    site.install("my-plug", None, entries="")
    site.install("My.plug", "raise RuntimeError", version="0.9")
    second = site.folder / "later"
    second.mkdir()
    (site.folder / "My.plug-0.9.dist-info").rename(second / "My.plug-0.9.dist-info")
    sys.path.append(str(second))
    try:
        assert reports("") == []
    finally:
        sys.path.remove(str(second))


# The built-in models' name ----------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["skattn", "liar"], ids=["shadows", "beside"])
def test_another_distribution_named_skattn_replaces_nothing(site, monkeypatch, folder):
    liar = site.install("skattn", hook("ModelSpec('alstm', 'os:getcwd')"), entry="builtin")
    info = site.folder / "skattn-1.2.3.dist-info"
    info.rename(info.with_name(f"{folder}-1.2.3.dist-info"))
    collected.cache_clear()
    (found,) = reports("")
    assert found.startswith("skattn: plugin 'builtin' (skattn 1.2.3) passes itself off as ")
    assert names() == sorted([*BUILTIN, *GOOD])
    assert liar not in sys.modules
    assert get_model("alstm").__module__ == "skattn.models.alstm"
    assert_others_work()
    monkeypatch.setenv("SKATTN_PLUGINS", "")
    collected.cache_clear()
    assert reports("") == []
    assert names() == BUILTIN


def test_the_built_in_models_need_no_metadata(site):
    site.install("skattn", None, metadata=None, entries="")
    assert reports("") == []
    assert_others_work()


def test_the_built_in_models_are_announced_as_every_plugin_is():
    (entry,) = (entry for entry in entry_points(group="skattn") if entry.name == "builtin")
    assert entry.load() is _specs


# Warnings as errors -----------------------------------------------------------------------------


def test_one_plugin_does_not_stop_lists_where_warnings_are_errors(site):
    site.install("my-broken", "raise RuntimeError", entry="broken")
    site.install("my-other", "raise RuntimeError", entry="other")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        assert set(names()) == {*BUILTIN, *GOOD}
        assert set(names()) == {*BUILTIN, *GOOD}
    assert [str(each.message) for each in caught] == [
        "skattn: plugin 'broken' (my-broken 1.2.3) could not be loaded: RuntimeError.",
        "skattn: plugin 'other' (my-other 1.2.3) could not be loaded: RuntimeError.",
    ]


@pytest.mark.parametrize("options", [(), ("-W", "error")], ids=["warnings", "errors"])
def test_all_broken_plugins_together(site, options):
    for number, (code, _, how) in enumerate(BROKEN.values()):
        if code is not None:
            code = code.replace("'works'", f"'works-{number}'")
        how = {**how}
        if isinstance(how.get("metadata"), str):
            how["metadata"] = how["metadata"].replace("my-broken", "{name}")
        site.install(f"broken-{number}", code, entry=f"entry-{number}", **how)
    for number, entries in enumerate(UNREADABLE.values()):
        site.install(f"unreadable-{number}", None, entries=entries)
    site.install("skattn", hook("ModelSpec('alstm', 'os:getcwd')"), entry="builtin")
    ran = python(
        """
        import json, skattn
        names = [spec.name for spec in skattn.list_models()]
        again = [spec.name for spec in skattn.list_models()]
        made = [repr(skattn.make_model(name, shift=2.0)) for name in ("good-a", "good-z")]
        print(json.dumps([names, again, made, repr(skattn.get_model("gru"))]))
        """,
        folder=site.folder,
        options=options,
        # torch itself asks importlib.metadata, which fails as a whole, for its backends.
        TORCH_DEVICE_BACKEND_AUTOLOAD="0",
    )
    listed, again, made, gru = json.loads(ran.stdout)
    works = [name for name in listed if name.startswith("works-")]
    assert len(works) == sum("'works'" in (code or "") for code, _, _ in BROKEN.values())
    assert listed == again == sorted([*BUILTIN, *GOOD, *works])
    assert made == ["Mean(shift=2.0)"] * 2
    assert gru == "<class 'skattn.models.gru.GRURegressor'>"
    sources = [f"plugin 'entry-{number}' (broken.{number} " for number in range(len(BROKEN))]
    sources += [f"distribution unreadable-{number} " for number in range(len(UNREADABLE))]
    for source in [*sources, "plugin 'builtin' (skattn 1.2.3) passes"]:
        assert (
            len(re.findall(f"skattn: {re.escape(source)}".replace(r"n\.", "n."), ran.stderr)) == 1
        )
    assert ran.stderr.count("UserWarning: skattn: ") == len(sources) + 1


# The user's own Ctrl-C --------------------------------------------------------------------------

PRESSED = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"


def own_handler(signum, frame):
    raise KeyboardInterrupt("mine")


@pytest.mark.parametrize("handler", [signal.default_int_handler, own_handler])
@pytest.mark.parametrize("place", ["import", "hook", "repr", "target", "instance"])
def test_ctrl_c_stops_everything(site, handler, place):
    press = "exec(" + repr(PRESSED) + ")"
    show = "class Slow:\n    def __repr__(self):\n        " + press
    code = {
        "import": PRESSED,
        "hook": hook(press),
        "repr": hook("Slow()", show),
        "target": hook("ModelSpec('slow', 'MODULE:slow')", f"def __getattr__(_):\n    {press}"),
        "instance": hook(
            "ModelSpec('slow', 'MODULE:Slow')",
            f"class Slow(Mean):\n    def __init__(self):\n        {press}",
        ),
    }[place]
    site.install("my-slow", code)
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            get_model("slow" if place in ("target", "instance") else "good-a")
    finally:
        signal.signal(signal.SIGINT, before)
    # Nothing half-collected is kept: the next question starts again.
    if place in ("target", "instance"):
        assert "slow" in names()
        assert_others_work()
    else:
        (site.folder / f"{site.modules[-1]}.py").write_text(hook("ModelSpec('slow', 'a:b')"))
        sys.modules.pop(site.modules[-1], None)


# Getting and making -----------------------------------------------------------------------------

TARGETS = """
import sys
def __getattr__(name):
    if name == "lazy":
        raise SystemExit("no licence")
    raise AttributeError(name)

class Exits(Mean):
    def __init__(self):
        sys.exit("no licence")

class Tagless(Mean):
    def __sklearn_tags__(self):
        return None

class Tagged(Mean):
    def __sklearn_tags__(self):
        raise SystemExit("no tags")

class Outer:
    class Inner(Mean):
        pass
    value, made, evil, trap, bad = 3, Mean(), Evil(), Trap(), Trap

class NoParameters:
    __sklearn_tags__ = Mean.__sklearn_tags__
    def __init__(self):
        self.__dict__["_real"] = Mean()
    def __sklearn_tags__(self):
        return Mean().__sklearn_tags__()
"""


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("'MODULE:lazy'", ImportError, "cannot be imported from .*SystemExit: no licence"),
        ("'MODULE:nope'", ImportError, "cannot be imported from .*AttributeError: nope"),
        ("'MODULE:Outer.value'", TypeError, "a regressor's class; got 3"),
        ("'MODULE:Outer.nope'", ImportError, "cannot be imported from .*AttributeError"),
        ("'MODULE:Outer.made'", TypeError, "a regressor's class; got Mean"),
        ("'MODULE:Outer.evil'", TypeError, "a regressor's class; got <Evil that cannot be shown>"),
        ("'MODULE:Outer.trap'", TypeError, "a regressor's class; got <Trap that cannot be shown>"),
        ("'MODULE:Trap'", TypeError, "a regressor's class; got <Meta that cannot be shown>"),
        ("'MODULE:Exits'", TypeError, "made without arguments: SystemExit: no licence"),
        ("'MODULE:Tagless'", TypeError, "a regressor's class; got .*Tagless'>: AttributeError"),
        ("'MODULE:Tagged'", TypeError, "a regressor's class; got .*Tagged'>: SystemExit: no tags"),
        ("'MODULE:'", ImportError, "must be 'package.module:Class'"),
        ("':Mean'", ImportError, "must be 'package.module:Class'"),
        ("':'", ImportError, "must be 'package.module:Class'"),
        ("''", ImportError, "the target ''; it must be 'package.module:Class'"),
        ("'.MODULE:Mean'", ImportError, "must be 'package.module:Class'"),
        ("'MODULE:Mean:Mean'", ImportError, "must be 'package.module:Class'"),
        ("'a/b:Mean'", ImportError, "must be 'package.module:Class'"),
        ("Evil()", ImportError, "<Evil that cannot be shown>'; it must be 'package.module"),
        ("['MODULE:Mean']", ImportError, "must be 'package.module:Class'"),
    ],
)
def test_a_broken_target(site, target, error, message):
    answer = f"[ModelSpec('broken', {target}), ModelSpec('works', 'MODULE:Mean')]"
    site.install("my-broken", hook(answer, EVIL + TARGETS), entry="entry")
    assert reports("") == []
    for use in (get_model, make_model):
        with pytest.raises(
            error, match=r"^Model 'broken' of plugin 'entry' \(my-broken 1\.2\.3\)"
        ) as e:
            use("broken")
        assert re.search(message, str(e.value))
    assert get_model("works").__name__ == "Mean"
    assert_others_work()


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit('no licence')",
        "raise GeneratorExit('no licence')",
        "raise StopIteration('no licence')",
        "raise KeyboardInterrupt('no licence')",
    ],
)
def test_a_target_that_ends_the_program_at_import(site, code):
    target = site.install("broken-model", code, entries="")
    site.install("my-broken", hook(f"ModelSpec('broken', '{target}:Mean')"))
    for _ in range(2):
        with pytest.raises(ImportError, match=rf"my-broken 1\.2\.3\b.*{target}:Mean.*no licence"):
            get_model("broken")
    assert_others_work()


def test_a_class_within_a_class(site):
    site.install("my-outer", hook("ModelSpec('inner', 'MODULE:Outer.Inner')", EVIL + TARGETS))
    assert make_model("inner", shift=2.0).shift == 2.0


def test_a_regressor_that_names_no_parameters(site):
    site.install("my-broken", hook("ModelSpec('broken', 'MODULE:NoParameters')", EVIL + TARGETS))
    assert get_model("broken").__name__ == "NoParameters"
    with pytest.raises(TypeError, match=r"'broken' of .*my-broken 1\.2\.3\) does not name its par"):
        make_model("broken")


class Unhashable(str):
    __hash__ = None


class Evil:
    def __repr__(self):
        raise RuntimeError("no repr")

    __hash__ = None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (["alstm"], r"\['alstm'\]"),
        ({"alstm": 1}, r"\{'alstm': 1\}"),
        (3, "3"),
        (b"alstm", "b'alstm'"),
        (("alstm",), r"\('alstm',\)"),
        (Evil(), "<Evil that cannot be shown>"),
        (get_model, "<function get_model at .*>"),
        (Unhashable("alsmt"), "'alsmt'"),
    ],
)
def test_a_name_that_nobody_can_have(site, name, said):
    for use in (get_model, make_model):
        with pytest.raises(ValueError, match=rf"^No model is named {said}; there are \['alstm', "):
            use(name)


def test_names_are_compared_as_text(site):
    assert get_model(Unhashable("alstm")) is get_model("alstm")


# Threads and processes --------------------------------------------------------------------------


def test_threads_that_list_at_the_same_time(site):
    meet = "import time\ntime.sleep(0.05)\n"
    site.install("my-broken", meet + "raise RuntimeError", entry="broken")
    site.install("my-slow", meet + hook("ModelSpec('slow', 'MODULE:Mean')"))
    barrier, listed = threading.Barrier(6), []

    def run():
        barrier.wait()
        listed.append(list_models())

    threads = [threading.Thread(target=run) for _ in range(6)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(listed) == 6
    assert all(each == listed[0] for each in listed)
    assert {spec.name for spec in listed[0]} == {*BUILTIN, *GOOD, "slow"}
    assert [str(each.message) for each in caught] == [
        "skattn: plugin 'broken' (my-broken 1.2.3) could not be loaded: RuntimeError."
    ]
    assert_others_work()


def test_a_thread_that_imports_a_plugin_while_another_lists(site):
    # The plugin asks for models when its module, whose lock the thread holds, is imported.
    code = "import time, skattn\ntime.sleep(0.2)\nskattn.list_models()\n"
    module = site.install("my-asking", code + hook("ModelSpec('mine', 'MODULE:Mean')"))
    thread = threading.Thread(target=__import__, args=(module,), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thread.start()
        lister = threading.Thread(target=list_models, daemon=True)
        lister.start()
        thread.join(30)
        lister.join(30)
    assert not thread.is_alive()
    assert not lister.is_alive()
    assert_others_work()


GATE = """
import gate
from skattn import ModelSpec, hookimpl

@hookimpl
def skattn_models():
    gate.entered.set()
    gate.leave.wait(30)
    return ModelSpec("gated", "a:b")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_forked_while_a_thread_lists(site):
    site.install("my-gate", GATE)
    events = "from threading import Event\nentered, leave = Event(), Event()\n"
    (site.folder / "gate.py").write_text(events)
    ran = python(
        """
        import json, os, threading
        import gate, skattn
        thread = threading.Thread(target=skattn.list_models)
        thread.start()
        assert gate.entered.wait(30)
        child = os.fork()
        gate.leave.set()
        names = [spec.name for spec in skattn.list_models()]
        if child == 0:
            os._exit(len(names))
        thread.join()
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), names]))
        """,
        folder=site.folder,
    )
    expected = sorted([*BUILTIN, *GOOD, "gated"])
    assert json.loads(ran.stdout) == [len(expected), expected]
    assert ran.stderr == ""


# Specs ------------------------------------------------------------------------------------------


def test_a_spec_says_what_it_must_be():
    with pytest.raises(ValueError, match=r"name of a ModelSpec must not be empty; got ''"):
        ModelSpec(name="", target="a:b")
    with pytest.raises(TypeError, match=r"name of a ModelSpec must be a str; got \['mine'\]"):
        ModelSpec(name=["mine"], target="a:b")
    with pytest.raises(TypeError, match=r"reference of a ModelSpec must be a str; got None"):
        ModelSpec(name="mine", target="a:b", reference=None)


def test_specs_are_listed_as_plain_text(site):
    before = "class Text(str):\n    def __repr__(self):\n        raise RuntimeError\n"
    site.install("my-text", hook("ModelSpec(*map(Text, ('mine', 'MODULE:Mean', 's')))", before))
    assert reports("") == []
    (spec,) = (spec for spec in list_models() if spec.name == "mine")
    assert type(spec) is ModelSpec
    assert repr(spec).startswith(
        f"ModelSpec(name='mine', target={spec.target!r}, summary='s', reference='', "
    )
    assert type(make_model("mine")).__name__ == "Mean"
