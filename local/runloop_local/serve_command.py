"""`runloop-local serve`: its options, and where it serves. Imports on Windows, too."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import service_folder
from .container import engine_client, image
from .service_error import ServiceError

_SERVE = """Serve until stopped. Without --data-dir and --port this is your own service, which notebooks find and which
`status`, `pull`, `images`, `prune`, `env` and `stop` act on; with either of them it is independent of that one."""
_IMAGE_VARIABLE = "RUNLOOP_LOCAL_IMAGE"
_MIRRORS_VARIABLE, _INSECURE_VARIABLE = "RUNLOOP_LOCAL_MIRRORS", "RUNLOOP_LOCAL_INSECURE_REGISTRIES"
_LOOPBACK = "127.0.0.1"


def add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    serve = commands.add_parser("serve", help="serve the API", description=_SERVE)
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "--host", default=_LOOPBACK, help="address to listen on, besides 127.0.0.1 and [::1] (default: these)"
    )
    serve.add_argument("--port", type=int, help="port to listen on (default: a free one)")
    serve.add_argument("--data-dir", type=Path, metavar="DIR", help="where devboxes are kept")
    keys = serve.add_mutually_exclusive_group()
    keys.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="a file that holds the API key (default: RUNLOOP_LOCAL_API_KEY, else a random key)",
    )
    keys.add_argument("--api-key", metavar="KEY", help="the API key itself; other accounts may see it")
    serve.add_argument("--isolation", choices=["auto", "namespaces", "process"], default="auto")
    serve.add_argument(
        "--image",
        default=os.environ.get(_IMAGE_VARIABLE, ""),
        metavar="IMAGE",
        help=f"the image of devboxes without a blueprint (default: {_IMAGE_VARIABLE}, else this machine's userland)",
    )
    serve.add_argument(
        "--mirrors",
        default=os.environ.get(_MIRRORS_VARIABLE, ""),
        metavar="LIST",
        help=f"mirrors of registries: 'docker.io=mirror.example.com' (default: {_MIRRORS_VARIABLE})",
    )
    serve.add_argument(
        "--insecure-registries",
        default=os.environ.get(_INSECURE_VARIABLE, ""),
        metavar="LIST",
        help=f"registries without TLS, or with any certificate: 'host:5000' (default: {_INSECURE_VARIABLE})",
    )
    serve.add_argument("--idle-timeout", type=float, default=1800.0, metavar="SECONDS", help="stop when idle so long")
    serve.add_argument("--pty-idle-ttl", type=float, default=900.0, metavar="SECONDS", help="end unused terminals")
    serve.add_argument("--keep", default="", metavar="LIMITS", help="see status --help (default: RUNLOOP_LOCAL_KEEP)")
    serve.add_argument(
        "--heartbeat",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="send a comment on event streams after this long without an event; 0 for never (default: 15)",
    )
    serve.add_argument(
        "--engine",
        choices=engine_client.REQUESTS,
        default=os.environ.get(engine_client.VARIABLE, "").strip() or "auto",
        help="serve in a container of this engine; auto: not on Linux, elsewhere the one that is there "
        f"(default: {engine_client.VARIABLE}, else auto)",
    )
    serve.add_argument(
        "--engine-image",
        default=os.environ.get(image.BASE_VARIABLE, "").strip() or image.BASE,
        metavar="IMAGE",
        help="the image that the service's own is built on, with Python 3.11 and pip "
        f"(default: {image.BASE_VARIABLE}, else {image.BASE})",
    )
    serve.add_argument("--detach", action="store_true", help=argparse.SUPPRESS)
    serve.add_argument("--lock", type=int, help=argparse.SUPPRESS)  # the descriptor of `service.lock`


def _serve(options: argparse.Namespace) -> None:
    from .api_key import EXPOSED_KEY_WARNING, read_api_key

    options.api_key, was_exposed = read_api_key(options.api_key, options.api_key_file), options.api_key is not None
    if was_exposed:
        print(f"runloop-local: {EXPOSED_KEY_WARNING}", file=sys.stderr)  # noqa: T201 -- the command line's own output
    if options.detach:
        _detach()
    if options.data_dir is not None or options.port is not None:
        _run(options, own=False)
        return
    with service_folder.service_lock(options.lock):
        if options.detach and sys.platform != "win32":
            from .service_log import keep_bounded

            keep_bounded(service_folder.home() / "service.log")
        try:
            _run(options, own=True)
        finally:
            service_folder.withdraw()


def _detach() -> None:
    """Detach: continue as a child of init, so that the starter need not reap the service and may exit before it."""
    if sys.platform != "win32" and os.fork():
        os._exit(0)
    os.chdir(Path(os.sep))


def _run(options: argparse.Namespace, *, own: bool) -> None:
    engine = engine_client.choose(options.engine, os.environ)
    if engine is not None:
        from .container.serving import serve_in_container

        serve_in_container(engine, options, own=own)
        return
    from .fork_server import ForkServer

    folder = (
        service_folder.home() / "data"
        if own
        else options.data_dir or service_folder.ensure_home() / f"data-{options.port}"
    )
    try:
        starting = ForkServer()  # before the rest is imported, as it has imports of its own
    except OSError as error:
        raise ServiceError(f"The process that starts devboxes cannot be started: {error.strerror}.") from error
    with starting as fork_server:
        from .serve_here import serve_here

        serve_here(options, folder, fork_server, own=own)
