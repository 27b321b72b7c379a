"""``skattn check``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any
from unittest import SkipTest

import click

from skattn.cli._info import find
from skattn.cli._output import STYLES, console, print_json, quiet, text

FIRST = ("check_fit_and_predict", "check_forward_is_the_same_twice")


def run_checks(name: str, as_json: bool) -> int:
    """Run every check on a model, print each result when it is there; give the exit code."""
    model, cls = find(name)
    from skattn.testing import check_model

    out = console()
    seen: list[float] = [time.monotonic()]

    def show(result: Mapping[str, Any]) -> None:
        seen.append(time.monotonic())
        took = f"{seen[-1] - seen[-2]:.1f} s"
        status = text(result["status"], STYLES.get(result["status"], ""))
        out.print(status, text(took, "dim"), text(result["check_name"]))
        if result["status"] == "failed":
            for line in _said(result["exception"]).splitlines():
                out.print(text(line, "red"))

    def check(**only: Any) -> list[dict[str, Any]]:
        return check_model(cls(), on_fail=None, on_result=None if as_json else show, **only)

    try:
        with quiet() if as_json else nullcontext():
            # Where these fail, nearly all others fail for the same reason.
            results = check(checks=FIRST)
            stands = all(result["status"] != "failed" for result in results)
            if stands:
                results += check(exclude=FIRST)
    except (ImportError, TypeError, ValueError) as error:
        raise click.ClickException(f"{model.source}: {error}") from error
    counts = Counter(result["status"] for result in results)
    failed = [result for result in results if result["status"] == "failed"]
    if as_json:
        print_json(
            {
                "name": model.name,
                "class": model.spec.target,
                "ok": not failed,
                "counts": counts,
                "checks": [
                    {
                        "check": result["check_name"],
                        "status": result["status"],
                        "message": _said(result["exception"]),
                    }
                    for result in results
                ],
            }
        )
        return int(bool(failed))
    took = time.monotonic() - seen[0]
    summary = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    out.print()
    out.print(text(f"{model.name}: {summary} in {took:.0f} s", "red" if failed else "green"))
    for result in failed:
        out.print(text(f"failed: {result['check_name']}", "red"))
    if not stands:
        out.print(text("The other checks were not run: they need what these check.", "yellow"))
    return int(bool(failed))


def _said(error: BaseException | None) -> str:
    """What a check says; the class of an exception that the model itself raised."""
    if error is None:
        return ""
    said = str(error)
    is_told = said and isinstance(error, (AssertionError, SkipTest))
    return said if is_told else f"{type(error).__name__}: {said}"
