"""The name by which Dockerfiles of tests stand on this machine's own userland."""

from runloop_local.engine.build.origins import STARTER as STARTER

FROM = f"FROM {STARTER}"
