"""``skattn new-plugin``: what it writes works at once, and what it refuses it does not touch."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from plugin_site import python
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import skattn
from skattn.cli import main
from skattn.inspection import attention_weights
from skattn.plugins._collect import collected
from skattn.preprocessing import Alpha360, RobustZScore

FILES = [
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "skattn_my_demo/__init__.py",
    "skattn_my_demo/model.py",
    "tests/test_my_demo.py",
]
KINDS = {"by row": (), "cross-sectional": ("--cross-sectional",)}


def new_plugin(*arguments, code=0):
    ran = CliRunner().invoke(main, ["new-plugin", *map(str, arguments)], prog_name="skattn")
    assert ran.exit_code == code, ran.output
    assert ran.exception is None or isinstance(ran.exception, SystemExit)
    return ran


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(params=KINDS)
def written(request, tmp_path):
    """The folder of a new plugin of each kind."""
    new_plugin("my-demo", *KINDS[request.param], "--directory", tmp_path)
    return tmp_path / "skattn-my-demo"


@pytest.fixture
def installed(written, monkeypatch):
    """The new plugin, announced as pip would announce it."""
    info = written / "skattn_my_demo-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: skattn-my-demo\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[skattn]\nmy-demo = skattn_my_demo\n")
    monkeypatch.syspath_prepend(written)
    importlib.invalidate_caches()
    collected.cache_clear()
    yield written
    for name in ("skattn_my_demo", "skattn_my_demo.model"):
        sys.modules.pop(name, None)
    collected.cache_clear()


# What is written --------------------------------------------------------------------------------


def test_a_plugin_is_a_whole_distribution(written):
    assert [name for name, content in tree(written).items() if content is not None] == FILES
    assert all(content is None or b"$" not in content for content in tree(written).values())
    project = tomllib.loads((written / "pyproject.toml").read_text())["project"]
    assert project["name"] == "skattn-my-demo"
    assert project["entry-points"]["skattn"] == {"my-demo": "skattn_my_demo"}
    assert project["dependencies"] == [f"skattn>={skattn.__version__}"]
    assert project["license-files"] == ["LICENSE"]
    assert "the authors of skattn-my-demo" in (written / "LICENSE").read_text()
    assert len((written / "skattn_my_demo" / "model.py").read_text().splitlines()) <= 60
    # Nothing is left of the folder in which the files were made.
    assert os.listdir(written.parent) == ["skattn-my-demo"]


def test_a_plugin_is_clean_and_public(written):
    rules = "--isolated --line-length 100 --select E,F,W,I,B,UP,RET,SIM,N803,D1 --ignore D103,D107"
    command = [sys.executable, "-m", "ruff"]
    subprocess.run([*command, "check", *rules.split(), "."], cwd=written, check=True)
    formatting = [*command, "format", "--isolated", "--line-length", "100", "--check", "."]
    subprocess.run(formatting, cwd=written, check=True)
    for path in written.rglob("*.py"):
        assert "skattn._" not in path.read_text()
        assert "internal" not in path.read_text()


def test_a_plugin_works(installed, market):
    (spec,) = (spec for spec in skattn.list_models() if spec.name == "my-demo")
    assert "skattn_my_demo.model" not in sys.modules
    assert spec.target == "skattn_my_demo.model:MyDemoRegressor"
    model = skattn.make_model("my-demo", hidden_size=8, max_epochs=2, random_state=0)
    assert skattn.get_model("skattn-my-demo:my-demo") is type(model)
    assert clone(model).get_params() == model.get_params()
    pipeline = make_pipeline(Alpha360(length=10), RobustZScore(), model)
    pipeline.fit(market.ohlcv, market.label)
    assert pipeline.predict(market.ohlcv).shape == market.label.shape
    (weights,) = attention_weights(pipeline, market.ohlcv).values()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    labels = sorted(market.ohlcv.index.unique("instrument"))
    assert list(weights.columns) in (labels, list(range(9, -1, -1)))


def test_the_commands_that_come_next_are_printed(tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path)
    output = new_plugin("my-demo", "--directory", "a b").output
    assert "\n  pip install --editable './a b/skattn-my-demo[dev]'\n" in output
    # pip takes a bare name for one of the package index.
    assert "--editable './skattn-my-demo[dev]'\n" in new_plugin("my-demo").output
    assert (tmp_path / "skattn-my-demo" / "pyproject.toml").is_file()


@pytest.mark.parametrize("name", ["none", "class", "module", "x", "a1-2b", "torch", "skattn"])
def test_names_that_mean_something_in_python(tmp_path, name):
    new_plugin(name, "--directory", tmp_path)
    for path in tmp_path.rglob("*.py"):
        compile(path.read_text(), path, "exec")


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My.Demo", "such as 'my-demo'; got 'My.Demo'"),
        ("my/demo", "such as 'my-demo'; got 'my/demo'"),
        ("../demo", "such as 'demo'; got '../demo'"),
        ("/demo", "such as 'demo'; got '/demo'"),
        ("my_demo", "such as 'my-demo'; got 'my_demo'"),
        ("Demo", "such as 'demo'; got 'Demo'"),
        ("other:demo", "such as 'other-demo'; got 'other:demo'"),
        ("", "such as 'my-model'; got ''"),
        ("x" * 51, "at most 50 letters; got 51"),
        ("skattn-demo", "must not begin with 'skattn-', which the distribution's name gets; say "),
        ("alstm", "skattn has a model 'alstm' of its own; the built-in ones: ['alstm', 'gru',"),
        ("sequence", "makes a class SequenceRegressor, which skattn has"),
        ("cross-sectional", "makes a class CrossSectionalRegressor, which skattn has"),
    ],
)
def test_a_name_that_cannot_be(tmp_path, name, said):
    ran = new_plugin(name, "--directory", tmp_path, code=2)
    assert said in ran.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "link to nowhere"])
def test_what_exists_is_not_touched(tmp_path, kind):
    taken = tmp_path / "skattn-my-demo"
    if kind == "file":
        taken.write_text("mine")
    elif kind == "link to nowhere":
        taken.symlink_to(tmp_path / "nowhere")
    else:
        taken.mkdir()
    if kind == "folder":
        (taken / "pyproject.toml").write_text("mine")
    before = tree(tmp_path)
    ran = new_plugin("my-demo", "--directory", tmp_path, code=1)
    assert f"{taken} exists already, and nothing was changed." in ran.stderr
    assert tree(tmp_path) == before
    assert taken.is_symlink() == (kind == "link to nowhere")


@pytest.mark.parametrize("directory", ["nowhere", "file"])
def test_a_directory_that_is_none(tmp_path, directory):
    (tmp_path / "file").write_text("mine")
    ran = new_plugin("my-demo", "--directory", tmp_path / directory, code=1)
    assert f"--directory must be a folder that exists; got {tmp_path / directory}" in ran.stderr
    assert tree(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("n_written", range(len(FILES)))
def test_a_disk_that_is_full_leaves_nothing(tmp_path, monkeypatch, n_written):
    write, calls = Path.write_text, []

    def write_text(path, *args, **kwargs):
        calls.append(path)
        if len(calls) > n_written:
            raise OSError(28, "No space left on device")
        return write(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", write_text)
    ran = new_plugin("my-demo", "--directory", tmp_path, code=1)
    assert ran.stderr == (
        f"Error: {tmp_path / 'skattn-my-demo'} cannot be written: No space left on device.\n"
    )
    assert os.listdir(tmp_path) == []


def test_a_folder_that_appears_meanwhile_is_not_touched(tmp_path, monkeypatch):
    taken, write = tmp_path / "skattn-my-demo", Path.write_text

    def write_text(path, *args, **kwargs):
        taken.mkdir(exist_ok=True)
        write(taken / "mine", "mine")
        return write(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", write_text)
    assert "cannot be written: " in new_plugin("my-demo", "--directory", tmp_path, code=1).stderr
    assert tree(tmp_path) == {"skattn-my-demo": None, "skattn-my-demo/mine": b"mine"}


# Really installed -------------------------------------------------------------------------------


def pip(*arguments) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *map(str, arguments)], check=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_is_one_pip_install_away(tmp_path, kind):
    pytest.importorskip("hatchling")
    new_plugin("my-demo", *KINDS[kind], "--directory", tmp_path)
    site = tmp_path / "site"
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--target", site]
    pip("install", *how, tmp_path / "skattn-my-demo")
    ask = "import skattn; print(type(skattn.make_model('my-demo', hidden_size=3)).__module__)"
    assert python(ask, folder=site).stdout == "skattn_my_demo.model\n"
    listed = "from skattn.cli import main; main(['models'])"
    assert "my-demo" in python(listed, folder=site).stdout
    assert "my-demo" not in python(listed).stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_plugin_pass(tmp_path, kind):
    new_plugin("my-demo", *KINDS[kind], "--directory", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    subprocess.run(command, cwd=tmp_path / "skattn-my-demo", check=True, timeout=300)
