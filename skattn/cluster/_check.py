"""Compare the distributions of a cluster's workers with those of the driver."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pandas as pd

import skattn
from skattn.parameters import shown
from skattn.plugins import list_installed

# What estimators, tables and their pickles are made of.
NEEDED = ("skattn", "scikit-learn", "skorch", "torch", "numpy", "pandas", "joblib")
# Seconds that the workers of Ray have to answer: starting a process and importing Ray takes some.
PATIENCE = 120

Look = Callable[..., dict[str, str]]


def check_workers(engine: Any) -> pd.DataFrame:
    """Check that every worker of a cluster has the distributions of this process.

    A fitted or unfitted estimator is sent to workers as the name of its class and its values. A
    worker that cannot import the class, or has it in another version, fails inside of dask or Ray,
    or gives other numbers. Call this function once, before the first search.

    Compared are the versions of Python (two numbers), skattn, what skattn computes with
    (scikit-learn, skorch, torch, numpy, pandas, joblib), and the distribution of each installed
    plugin. The build, such as +cpu, is left out: workers may have other devices.

    Parameters
    ----------
    engine : dask.distributed.Client, or the module ray after ``ray.init``
        The cluster. dask answers for each worker, Ray for each node.

    Returns
    -------
    versions : DataFrame of shape (n_workers, n_distributions)
        What each worker has.

    Raises
    ------
    RuntimeError
        A worker lacks a distribution, or has it in another version; the message names worker and
        distribution. There is no worker, or a worker does not answer.
    TypeError
        The engine is neither of the two.

    Examples
    --------
    >>> from dask.distributed import Client  # doctest: +SKIP
    >>> from skattn.cluster import check_workers
    >>> check_workers(Client("scheduler:8786"))  # doctest: +SKIP
    Traceback (most recent call last):
        ...
    RuntimeError: 1 of 2 workers differ from this process:
    - worker 1 at tcp://10.0.0.7:40123 lacks skattn-master 0.1.0; has numpy 2.3.1 (here 2.4.6)
    Install the same versions of the same distributions there, and start the workers anew.
    """
    here = _here()
    if isinstance(engine, ModuleType) and engine.__name__ == "ray":
        answers = _ask_ray(engine, list(here))
    elif _is_dask_client(engine):
        answers = _ask_dask(engine, list(here))
    else:
        raise TypeError(
            f"engine must be a dask.distributed.Client or the module ray; got {shown(engine)}."
        )
    if not answers:
        raise RuntimeError(
            "The cluster has no worker yet. Start its workers, or wait for them: "
            "client.wait_for_workers(1) of dask."
        )
    differing = [
        f"{worker} {text}"
        for worker, found in sorted(answers.items())
        if (text := _difference(here, found))
    ]
    if differing:
        raise RuntimeError(
            f"{len(differing)} of {len(answers)} workers differ from this process:\n"
            + "\n".join(f"- {line}" for line in differing)
            + "\nInstall the same versions of the same distributions there, and start the workers "
            "anew."
        )
    found = pd.DataFrame.from_dict(answers, orient="index")
    return found.rename_axis(index="worker", columns="distribution").sort_index()


def _here() -> dict[str, str]:
    """What this process has, by distribution."""
    plugins = {model.distribution: model.version for model in list_installed()}
    names = [*NEEDED, *sorted(name for name in plugins if name and name not in NEEDED)]
    found = _make_look()(names)
    found.pop("worker")
    # A checkout on the path has no metadata, or those of another version.
    found["skattn"] = skattn.__version__
    return {name: version for name, version in found.items() if version}


def _make_look() -> Look:
    """Make the function that looks; as a local function it is pickled with its code.

    A worker that lacks skattn can run such a function.
    """

    def look(names: list[str], dask_worker: Any = None) -> dict[str, str]:
        import importlib
        import importlib.metadata
        import platform

        found = {"worker": str(getattr(dask_worker, "name", ""))}
        found["python"] = ".".join(platform.python_version_tuple()[:2])
        for name in names:
            if name == "python":
                continue
            try:
                found[name] = (importlib.metadata.version(name) or "").partition("+")[0]
            except importlib.metadata.PackageNotFoundError:
                found[name] = ""
            if name == "skattn":
                try:
                    found[name] = importlib.import_module(name).__version__
                except ImportError:
                    found[name] = ""
        return found

    return look


def _difference(here: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Say what a worker lacks, and what it has in another version."""
    if "failed" in found:
        return f"does not answer: {found['failed']}"
    missing = [f"{name} {version}" for name, version in here.items() if not found[name]]
    others = [
        f"{name} {found[name]} (here {version})"
        for name, version in here.items()
        if found[name] and found[name] != version
    ]
    texts = [
        f"{verb} {', '.join(names)}"
        for verb, names in (("lacks", missing), ("has", others))
        if names
    ]
    return "; ".join(texts)


def _is_dask_client(engine: Any) -> bool:
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(engine, distributed.Client)


def _ask_dask(client: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if client.asynchronous:
        raise TypeError("engine must be a Client that waits; got one with asynchronous=True.")
    if client.status != "running":
        raise RuntimeError(
            f"engine must be a Client that is connected; its status is {client.status!r}."
        )
    answers = {}
    for address, found in client.run(_make_look(), names, on_error="return").items():
        if isinstance(found, dict):
            answers[f"worker {found.pop('worker')} at {address}"] = found
        else:
            answers[f"worker at {address}"] = {"failed": f"{type(found).__name__}: {found}"}
    return answers


def _ask_ray(ray: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if not ray.is_initialized():
        raise RuntimeError("engine is ray without a cluster: call ray.init() before.")
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Without a processor of its own, the task does not wait for those that are at work.
    look = ray.remote(num_cpus=0)(_make_look())
    asked = {
        f"node {node['NodeManagerHostname']} ({node['NodeID'][:8]})": look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(names)
        for node in ray.nodes()
        if node["Alive"]
    }
    answers = {}
    for worker, reference in asked.items():
        try:
            found = ray.get(reference, timeout=PATIENCE)
            found.pop("worker")
        except ray.exceptions.RayError as error:
            found = {"failed": f"{type(error).__name__}: {error}"}
        answers[worker] = found
    return answers
