"""How the embedded service differs from Runloop's cloud, by operation; `docs/conformance.md` is made of it."""

CLOUD = "Part of Runloop's cloud: a token for a gateway there."
UPSTREAM = "Kept and checked; requests through it need the cloud."
PUBLIC = "Always empty: nobody publishes here."

DIFFERENCES: dict[str, str] = {
    "pty.connect": "On the service's own port, by the host name `13-{tunnel_key}.tunnel.localhost`.",
    "accounts.me": "One account, the owner of this machine's service.",
    "blueprints.create": (
        "`FROM` is an image, a blueprint by name, or this machine's userland as `runloop:runloop/starter-x86_64`. "
        "`ENTRYPOINT` and `CMD` are recorded, not run. `services` answers 501."
    ),
    "blueprints.list_public": PUBLIC,
    "blueprints.preview": "The Dockerfile that this service would build.",
    "devboxes.create": (
        "An isolated process tree on this machine, whose architecture it has. Sizes are enforced as `runloop-local "
        "status` says, and no larger than this machine. Running in milliseconds. Gateways, MCP hubs, "
        "`required_services`, `axon_event` and another architecture answer 501."
    ),
    "devboxes.create_and_await_running": "As `devboxes.create`.",
    "devboxes.create_gateway_token": CLOUD,
    "devboxes.create_mcp_token": CLOUD,
    "devboxes.create_ssh_key": "Devboxes here have no SSH server: use a terminal (PTY), or commands.",
    "devboxes.enable_tunnel": "URLs are `http://{port}-{tunnel_key}.tunnel.localhost:PORT`, for this machine only.",
    "devboxes.execute": "Output may be streamed again for as long as the devbox is there.",
    "devboxes.executions.stream_stdout_updates": "A frame also has `span`: where it lies in both streams together.",
    "devboxes.executions.stream_stderr_updates": "As `stream_stdout_updates`.",
    "devboxes.snapshot_disk": "Costs what has changed; programs are paused for a moment.",
    "devboxes.watch_evictions": "Nothing is ever evicted: heartbeats only.",
    "gateway_configs.create": UPSTREAM,
    "mcp_configs.create": UPSTREAM,
    "network_policies.create": (
        "Enforced where devboxes have namespaces: by an HTTP proxy, and for other TCP connections by address, or by "
        "the names that were looked up. Devboxes do not reach each other: `allow_devbox_to_devbox` without "
        "`allow_all` is refused (501). So is, elsewhere, a devbox or a build that asks for a policy that restricts it."
    ),
    "objects.list_public": PUBLIC,
    "objects.create": "The upload URL leads to this service, and ends after its time.",
    "secrets.create": "Encrypted on this machine's disk, with a key that only its owner can read.",
}
