"""The site: Sphinx, pages in MyST, docstrings by numpydoc, a gallery of examples/gallery/."""

from __future__ import annotations

import os
import sys

from sphinx.pycode import ModuleAnalyzer
from sphinx_gallery.sorting import ExplicitOrder

import skattn

project = "skattn"
author = "The skattn developers"
copyright = "The skattn developers, BSD-3-Clause"
version = release = skattn.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_*.md", "gallery/*.ipynb", "gallery/*.py", "sg_execution_times.rst"]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]  # the gallery's order is a class

# Every name of skattn that a page mentions must exist; other packages' are links where the
# inventories of their sites are within reach.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!skattn\.).*")]
if os.environ.get("SKATTN_DOCS_LINKS"):
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "python": ("https://docs.python.org/3", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    }

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
# These names have their page under skattn; the packages that they come from link to it.
autosummary_context = {"top_level": skattn.__all__}
autodoc_typehints = "none"  # numpydoc sections have the types
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("svg", 100)]
plot_rcparams = {"savefig.bbox": "tight", "svg.fonttype": "path"}

# From a first signal over models and what they attend to, to other packages; new ones come last.
gallery_order = [
    *("attention_at_a_planted_lag", "tune_alstm", "signal_report", "portfolio", "all_models"),
    *("hist_with_sectors", "train_on_ic", "seeds_as_ensemble", "fine_tune", "importance"),
    *("attention_against_the_market", "save_and_serve", "optuna", "mlflow", "tensorboard"),
]
sphinx_gallery_conf = {
    "examples_dirs": ["../examples/gallery"],
    "gallery_dirs": ["gallery"],
    "abort_on_example_error": True,
    "backreferences_dir": "reference/backreferences",
    "doc_module": ("skattn",),
    "reference_url": {"skattn": None},
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "parallel": int(os.environ.get("SKATTN_DOCS_JOBS", "2")),
    "plot_gallery": "True",
    "remove_config_comments": True,
    "within_subsection_order": ExplicitOrder([*(f"plot_{name}.py" for name in gallery_order), "*"]),
}


def skip_scikit_learn(app, what, name, obj, skip, options):
    """Leave out methods that scikit-learn writes and documents, such as set_fit_request."""
    defined = str(getattr(obj, "__module__", None) or getattr(type(obj), "__module__", ""))
    return True if defined.startswith("sklearn.") else skip


def describe_constants(app, what, name, obj, options, lines):
    """Give a constant the comment of its definition, and not the docstring of its type."""
    if what != "data" or name.endswith("_scorer"):
        return
    package, _, constant = name.rpartition(".")
    docs = (
        ModuleAnalyzer.for_module(module).find_attr_docs().get(("", constant))
        for module in sorted(sys.modules)
        if module == package or module.startswith((f"{package}._", "skattn.plugins._"))
    )
    lines[:] = next(filter(None, docs))


def setup(app):
    """Connect the handlers of this file."""
    app.connect("autodoc-process-docstring", describe_constants)
    app.connect("autodoc-skip-member", skip_scikit_learn)


html_theme = "pydata_sphinx_theme"
html_title = "skattn"
html_static_path = ["_static"]
html_css_files = ["skattn.css"]
html_show_sourcelink = False
# Pages without pages below them have nothing to show there.
html_sidebars = {
    name: []
    for name in (
        *("start", "coming/qlib", "coming/skorch", "coming/pytorch", "plugins"),
        *("beyond_one_machine", "performance", "honesty", "changelog"),
        *("genindex", "py-modindex", "search"),
    )
}
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 5,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
