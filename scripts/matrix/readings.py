"""Places that nobody here has tried: what their public documents say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """What documents say of a place, where they say it, and what follows for this product."""

    title: str
    said: str
    source: str
    follows: str


READINGS = (
    Reading(
        "Google Colab",
        "Python 3.12, IPython 7.34, ipywidgets 7.7; other versions of IPython conflict with its own package. Others' "
        "widgets need a widget manager, which anywidget switches on by itself.",
        "googlecolab/backend-info (2026.01), googlecolab/colabtools#2837, the source of anywidget 0.11",
        "The magics need IPython 8.18: pip replaces Colab's, which may keep its runtime from starting again. The SDK "
        "alone needs no IPython.",
    ),
    Reading(
        "Kaggle",
        "ipywidgets are there; the page's part of anywidget is not, and pip cannot add it to a page that is open.",
        "Kaggle/docker-python#1487 (closed)",
        "The magics need what pip can install; the panel is most likely its table.",
    ),
    Reading(
        "Databricks",
        "ipywidgets from Databricks Runtime 13.0, some of them not in 15.0; the browser must reach a domain of "
        "Databricks, and a widget's state ends with the notebook's session.",
        "docs.databricks.com, `notebooks/ipywidgets` and `notebooks/notebook-limitations`",
        "It needs a runtime with Python 3.11. Nothing is said of anywidget: expect the panel's table.",
    ),
    Reading(
        "Amazon SageMaker Studio",
        "JupyterLab, and an editor of VS Code's family, in an environment of the user's own, with packages and "
        "extensions of one's choice.",
        "docs.aws.amazon.com, `sagemaker/latest/dg/studio-lifecycle-configurations`",
        "As JupyterLab, from 4.4; devboxes of its own machine depend on the rights of its container.",
    ),
    Reading(
        "Deepnote",
        "ipywidgets are not available; there are blocks of its own instead.",
        "deepnote/deepnote, `docs/ipywidgets-in-deepnote.md`",
        "The panel is its table, and there is no terminal.",
    ),
)
"""Read on 2026-11-30."""
