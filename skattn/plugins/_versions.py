"""Versions of skattn that a model works with."""

from __future__ import annotations

from skattn import __version__
from skattn.plugins._strangers import shown


def why_unmet(requires: str, version: str = __version__) -> str:
    """Say why a version of skattn is none of those that a model needs.

    Parameters
    ----------
    requires : str
        Specifiers as in the metadata of packages, such as ">=0.2,<1". Empty: any version.
    version : str
        Version of skattn. Where the specifiers name no prerelease, a prerelease counts as the
        version that it precedes: authors try their models with 0.2rc1 before 0.2 is there.

    Returns
    -------
    why : str
        Empty where the version is one of them.

    Examples
    --------
    >>> from skattn.plugins._versions import why_unmet
    >>> why_unmet(">=0.2", "0.1.0")
    'needs skattn>=0.2; this is skattn 0.1.0'
    >>> why_unmet(">=0.2", "0.2.dev3")
    ''
    """
    if not requires.strip():
        return ""
    # Imported here: few models need a version, and every listing would wait.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import Version

    try:
        specifiers = SpecifierSet(requires)
    except InvalidSpecifier:
        return (
            f"has requires_skattn={shown(requires)}, which is no set of version specifiers such as "
            f"'>=0.2,<1'"
        )
    here = Version(version)
    if here.is_prerelease and not specifiers.prereleases:
        here = Version(here.base_version)
    if specifiers.contains(here, prereleases=True):
        return ""
    return f"needs skattn{specifiers}; this is skattn {version}"
