"""Reading a file of weights as tensors, never as code."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from skattn.parameters import shown

CURE = (
    "A file of weights comes from torch.save(module.state_dict(), path) or from "
    "safetensors.torch.save_file(module.state_dict(), path)."
)


def read_weight_file(path: str | os.PathLike) -> Any:
    """Read what ``torch.save`` or safetensors wrote, on the CPU.

    The content tells the format. A zip archive of ``torch.save`` is read only if all its records
    match their checksums. safetensors and torch before 1.6 write no checksums.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    content : object
        Tensors and plain Python values.

    Raises
    ------
    ValueError
        The file cannot be opened, is damaged or of another format, or holds other objects.
    """
    name = f"pretrained={shown(os.fsdecode(path))}"
    try:
        # A pipe or a device could block, or never end.
        if not stat.S_ISREG((found := Path(os.fsdecode(path))).stat().st_mode):
            raise OSError(0, "Is a directory" if found.is_dir() else "Is not a file")
        content = found.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{name} cannot be opened: {why}.") from None
    try:
        return _read(content)
    except _RefusedError as error:
        raise ValueError(f"{name} {error}. {CURE}") from None
    # A broken file can raise anything. Torch's own text may advise to run the file's code.
    except Exception:
        raise ValueError(
            f"{name} cannot be read as a file of weights: it is damaged, cut short, of another "
            f"format, or holds more than tensors. {CURE}"
        ) from None


class _RefusedError(Exception):
    """What is wrong with a file, as the end of a sentence."""


def _read(content: bytes) -> Any:
    if not content:
        raise _RefusedError("is empty")
    if content[8:9] == b"{":
        return safetensors.torch.load(content)
    if content.startswith(b"PK"):
        _check_archive(content)
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _check_archive(content: bytes) -> None:
    """Raise if the archive is not what it was when it was saved, or holds other objects."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # Torch does not compare the checksums.
        if record := archive.testzip():
            raise _RefusedError(f"is damaged: its record {record!r} does not match its checksum")
        records = {record.partition("/")[2] for record in archive.namelist()}
    if "constants.pkl" in records:
        raise _RefusedError("is a TorchScript archive, which is code")
    if "data.pkl" not in records:
        raise _RefusedError("is a zip archive, but not one of torch.save")
    if refused := get_unsafe_globals_in_checkpoint(io.BytesIO(content)):
        raise _RefusedError(f"holds more than tensors and plain values: {', '.join(refused)}")
