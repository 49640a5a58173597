"""Take the README's picture of the quickstart: `python scripts/picture.py [TARGET.png]`, from the project's root."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.lab import Notebook, open_browser, serve_lab

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def take(target: Path) -> None:
    """Run the notebook in JupyterLab and photograph it from the first command to the progress bar."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        folder = Path(home) / "notebooks"
        folder.mkdir()
        (folder / "quickstart.ipynb").write_bytes((NOTEBOOKS / "quickstart.ipynb").read_bytes())
        with open_browser() as browser, serve_lab(folder, Path(home)) as address:
            page = browser.new_page(viewport={"width": 1180, "height": 1490}, device_scale_factor=1.5)
            notebook = Notebook(page, address, "quickstart.ipynb")
            page.keyboard.press("Control+b")
            notebook.run_all()
            page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
            page.wait_for_timeout(500)
            page.screenshot(path=target)


if __name__ == "__main__":
    take(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/quickstart.png"))
