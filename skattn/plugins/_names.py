"""Names of models, which have one rule everywhere, and of distributions, which have pip's."""

from __future__ import annotations

import re

from skattn.plugins._strangers import shown

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def canonical(name: str) -> str:
    """Write a name as package indexes compare it: My_Plug equals my-plug.

    Parameters
    ----------
    name : str
        Name of a distribution or an entry point.

    Returns
    -------
    name : str
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def check_name(what: str, name: str) -> None:
    """Check the name of a model.

    Parameters
    ----------
    what : str
        What is named, for the error's text.
    name : str
        The name.

    Raises
    ------
    TypeError
        The name is no str.
    ValueError
        The name has anything but lower-case letters, digits, and hyphens between them, or does not
        begin with a letter. The text gives the nearest name that is valid.

    Examples
    --------
    >>> from skattn.plugins import check_name
    >>> check_name("name", "my-model")
    >>> check_name("name", "My.Model")
    Traceback (most recent call last):
        ...
    ValueError: name must be lower-case letters, digits and single hyphens between them, beginning
    with a letter, such as 'my-model'; got 'My.Model'.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what} must be a str; got {shown(name)}.")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{what} must be lower-case letters, digits and single hyphens between them, beginning "
            f"with a letter, such as {nearest(name) or 'my-model'!r}; got {shown(name)}."
        )


def nearest(name: str) -> str:
    """Find the valid name of a model that looks like a text, "" where nothing of it is valid."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789").rstrip("-")
