"""What imports what: no module imports itself by a detour."""

from graphlib import TopologicalSorter

import grimp
import pytest


@pytest.mark.parametrize("package", ["runloop_jupyter", "runloop_sdk", "runloop_local"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    """Imports inside functions and those for types only count too."""
    graph = grimp.build_graph(package, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imported) > 50
    TopologicalSorter(imported).prepare()  # its CycleError names the circle
