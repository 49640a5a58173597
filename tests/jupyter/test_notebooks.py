"""The notebooks of the project run from top to bottom, as `jupyter execute` or CI would run them."""

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.jupyter.embedded import Home, embedded_home

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").rglob("*.ipynb"))
SHOWN = {
    "data_work": ["'harbour'", "hill 168", "hill,114,3.08", "coldest.csv", "image/svg+xml"],
    "blueprint": ["a step that takes its time", "cached", "→ 5 │ RUN cp no-such-file /tmp", "Deleted 2 blueprints."],
    "fan_out": [
        "after 100,000 throws: 3.1",
        "20 devboxes, 2,000,000 throws: π ≈ 3.14",
        "node-10 ended with 3 and said: number 10 had no luck",
    ],
    "web_app": ["serving on port 8000", "{'visits': ", "GET /api/visits"],
    "agents": ["✓ careful", "✗ hasty", "raise ValueError", "Ran 3 tests"],
}


def texts(cell: nbformat.NotebookNode) -> str:
    """What a cell shows, as text."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with embedded_home(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebook_runs_from_top_to_bottom(path: Path, home: Home) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit notebooks without outputs"
    client = NotebookClient(notebook, extra_arguments=["--log-level=ERROR"])
    with client.setup_kernel(env={**os.environ, **home.env}):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        assert "running" not in home.statuses().values(), "the notebook tidies up"
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in ran] == list(range(1, len(ran) + 1))
    pages = (output.get("data", {}).get("text/html", "") for cell in ran for output in cell.outputs)
    everything = "".join([*map(texts, ran), *pages])
    assert [text for text in SHOWN.get(path.stem, []) if text not in everything] == []
    if path.stem == "quickstart":
        assert "working on part 1 of 3 ...\n" in texts(ran[2])
        assert "100%  π ≈ 3.1" in texts(ran[4])
        assert texts(ran[5]) == "", "--quiet shows nothing"
        assert "off by 0.00" in texts(ran[6])
        assert "exit code 2" in texts(ran[7])
        assert "Shut down quickstart" in texts(ran[9])
