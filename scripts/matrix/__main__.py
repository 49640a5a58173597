"""Try places and write docs/where-it-works.md: `python -m scripts.matrix [PLACE...]`, or `make matrix PLACE=lab-4.4`.

Rows of places that are not tried now stay as they were, with their day.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.environments import ROOT, environment
from tests.test_distributions import pythons

from . import page
from .home import environ
from .places import PLACES, Place
from .table import UNTRIED, Row, load, merge, save

RESULTS = Path(__file__).with_name("results.json")
BUILT = ("runloop_jupyter", "sdk", "local", "ui/labextension", "pyproject.toml")
"""What the wheel is made of: an environment is made anew where it has changed."""


def main() -> int:
    """Exit status 0 where each place could be tried, whatever came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="*", metavar="PLACE", help=f"one of {', '.join(PLACES)}; all unless told")
    parser.add_argument("--page", action="store_true", help="try nothing: only write the page")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.places if name not in PLACES]
    if unknown:
        parser.error(f"There is no place {unknown[0]!r}: {', '.join(PLACES)}.")
    undone: list[str] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs would not hear Ctrl+C
    for name in () if chosen.page else chosen.places or PLACES:
        try:
            row = attempt(name, PLACES[name])
        except Exception as error:  # noqa: BLE001 - the other places are tried all the same
            print(f"{name} could not be tried: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            undone.append(name)
            continue
        print(f"{name}: {dict(row.answers) or UNTRIED}", flush=True)
        save(RESULTS, merge(load(RESULTS), {name: row}, PLACES))
    page.write(ROOT / "docs" / "where-it-works.md", load(RESULTS))
    return 1 if undone else 0


def attempt(name: str, place: Place) -> Row:
    """What comes of a place, which is installed first; a row without answers where its Python is not here."""
    here = pythons()
    version = place.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    if version not in here:
        return Row(place.title, f"Python {version}", notes=("This Python was not to be had.",))
    wheel = _wheel()
    folder = f".matrix/{name}"
    (ROOT / ".matrix").mkdir(exist_ok=True)
    python = str(environment(folder, str(wheel), *place.packages, stamp=wheel.parent.name, version=here[version]))
    with tempfile.TemporaryDirectory(prefix=f"matrix-{name}-", ignore_cleanup_errors=True) as home:
        answers, problems = place.drive(python, Path(home))
        subprocess.run(
            [python, "-m", "runloop_local", "stop"], env=environ(Path(home)), capture_output=True, check=False
        )
        picture = Path(home) / "page.png"
        if picture.exists():
            (ROOT / ".matrix" / f"{name}.png").write_bytes(picture.read_bytes())
    for problem in problems:
        print(f"  {name}: {problem}", file=sys.stderr, flush=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Row(place.title, _versions(python, place), today, answers, place.notes)


def _versions(python: str, place: Place) -> str:
    code = (
        "import importlib.metadata as m, json, sys;"
        "print(json.dumps([sys.version.split()[0], *(m.version(n) for n in sys.argv[1:])]))"
    )
    said = subprocess.run([python, "-c", code, *place.shown], check=True, capture_output=True, text=True).stdout
    numbers = json.loads(said)
    return ", ".join(f"{name} {number}" for name, number in zip(("Python", *place.shown), numbers, strict=True))


def _wheel() -> Path:
    """The wheel of this checkout, in a folder that is named by what it is made of."""
    paths = [path for each in BUILT for path in [ROOT / each, *(ROOT / each).rglob("*")] if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.suffix != ".pyc"):
        digest.update(path.read_bytes())
    folder = ROOT / ".matrix" / digest.hexdigest()[:16]
    if not list(folder.glob("*.whl")):
        build: list[str | Path] = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--installer",
            "uv",
            "--outdir",
            folder,
            ROOT,
        ]
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        subprocess.run(build, check=True, capture_output=True, env={**os.environ, "PATH": programs})
    return next(folder.glob("*.whl"))


if __name__ == "__main__":
    sys.exit(main())
