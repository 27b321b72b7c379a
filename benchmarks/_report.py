"""What the benchmarks share: the machine's line, interleaved timing, peak memory."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

US_EQUITIES = Path(__file__).resolve().parents[2] / "shared" / "data" / "us_equities.parquet"
CN_EQUITIES = US_EQUITIES.with_name("cn_equities.parquet")


def describe_machine(*packages: str) -> str:
    """One line on processor, system and versions."""
    import torch

    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    parts = [f"{model}, {torch.get_num_threads()} threads", f"Python {platform.python_version()}"]
    for package in ("skattn", "torch", "scikit-learn", "skorch", "pandas", "numpy", *packages):
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            parts.append(f"{package} absent")
    return ", ".join(parts)


def interleaved(tasks: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Time tasks in turn, so that a drift of the machine's speed meets all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def reset_peak_memory() -> float:
    """Forget the process's peak; return what it holds now, in bytes (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_memory() -> float:
    """Most that the process held since the peak was reset, in bytes (Linux)."""
    return _status("VmHWM")


def memory_of() -> tuple[float, float]:
    """Bytes that the process holds now: its own, and pages of mapped files (Linux)."""
    return _status("RssAnon"), _status("RssFile") + _status("RssShmem")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))
