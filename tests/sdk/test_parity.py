"""Nothing of the official client's async surface is missing here."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest
import runloop_api_client.sdk as official_sdk

import runloop_sdk
import runloop_sdk.resources

RENAMED_PARAMETERS = {"client", "devbox"}  # how the official classes are constructed: nobody calls that


def official_classes() -> dict[str, type]:
    """The async classes of the official sdk package, by name."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(official_sdk.__path__):
        if module.name.startswith("async_"):
            loaded = importlib.import_module(f"{official_sdk.__name__}.{module.name}")
            own = [c for _, c in inspect.getmembers(loaded, inspect.isclass) if c.__module__ == loaded.__name__]
            found |= {c.__name__: c for c in own if not c.__name__.startswith("_")}
    return found


def our_classes() -> dict[str, type]:
    """All classes of our resources, by name."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(runloop_sdk.resources.__path__):
        loaded = importlib.import_module(f"{runloop_sdk.resources.__name__}.{module.name}")
        found |= dict(inspect.getmembers(loaded, inspect.isclass))
    return found


def public_members(kind: type) -> Iterator[tuple[str, object]]:
    """Names that a user of the class meets, with what they are."""
    for name in dir(kind):
        if not name.startswith("_"):
            yield name, inspect.getattr_static(kind, name)


def parameters(method: object) -> set[str]:
    """The names of the parameters that a caller may pass by name."""
    signature = inspect.signature(method)  # type: ignore[arg-type]
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, p in signature.parameters.items() if p.kind in kinds and name != "self"}


def takes_any(method: object) -> bool:
    """Whether a method takes keywords that its TypedDict lists."""
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(method).parameters.values())  # type: ignore[arg-type]


def test_no_class_member_or_parameter_of_the_official_sdk_is_missing() -> None:
    ours, missing = our_classes(), []
    for class_name, official in official_classes().items():
        kind = getattr(runloop_sdk, class_name, None) or ours.get(class_name)
        if kind is None:
            missing.append(class_name)
            continue
        for name, member in public_members(official):
            mine = inspect.getattr_static(kind, name, None)
            if mine is None:
                missing.append(f"{class_name}.{name}")
            elif inspect.isfunction(member):
                lacking = parameters(member) - parameters(mine) - RENAMED_PARAMETERS
                missing += [f"{class_name}.{name}({parameter})" for parameter in lacking if not takes_any(mine)]
    assert missing == []
    assert len(official_classes()) >= 20


def test_managers_hang_on_the_sdk_by_the_official_names() -> None:
    with_key = {"bearer_token": "x", "base_url": "http://127.0.0.1:1"}
    official, ours = importlib.import_module("runloop_api_client").AsyncRunloopSDK(**with_key), None
    ours = runloop_sdk.AsyncRunloopSDK(**with_key)
    names = [name for name in vars(official) if not name.startswith("_")]
    assert {"api", "devbox", "blueprint", "snapshot", "storage_object"} <= set(names)
    assert [name for name in names if not hasattr(ours, name)] == []


@pytest.mark.parametrize(
    "name", ["bearer_token", "base_url", "timeout", "max_retries", "default_headers", "default_query"]
)
def test_the_entry_point_takes_the_official_options(name: str) -> None:
    assert name in inspect.signature(runloop_sdk.AsyncRunloopSDK).parameters
