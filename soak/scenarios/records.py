"""Scenarios with stored resources: axons, secrets, policies and configs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soak.findings import expect

from .context import same

if TYPE_CHECKING:
    from runloop_sdk import AsyncAxon

    from .context import Context, Scenario

_ENDPOINT = "https://example.com"


async def events_are_kept(ctx: Context) -> None:
    """Publish events to an axon, receive them in order, and list them."""
    axon = await ctx.sdk.axon.create(name=ctx.new_name("axon"))
    payloads = [ctx.text(ctx.chance.randint(0, 2000)) for _ in range(ctx.chance.randint(1, 12))]
    half = ctx.chance.randint(0, len(payloads))
    numbers = [await _publish(axon, payload) for payload in payloads[:half]]
    events = await axon.subscribe_sse()
    async with events:
        numbers += [await _publish(axon, payload) for payload in payloads[half:]]
        heard = [await anext(events) for _ in payloads]
    expect(numbers == sorted(set(numbers)), "double runs", f"events are numbered {numbers}")
    told = [event.payload for event in heard]
    listed = [event.payload async for event in ctx.sdk.api.axons.events.list(axon.id, limit=3)]
    expect(len(listed) <= len(payloads), "double runs", f"an axon has {len(listed)} events of {len(payloads)}")
    expect(sorted(listed) == sorted(payloads), "losses", f"an axon lists {len(listed)} of {len(payloads)} events")
    expect(told == payloads, "wrong bytes", f"an axon told {told} instead of {payloads}")
    after = await axon.subscribe_sse(after_sequence=numbers[len(numbers) // 2])
    async with after:
        rest = [(await anext(after)).payload for _ in payloads[len(numbers) // 2 + 1 :]]
    expect(rest == payloads[len(numbers) // 2 + 1 :], "wrong bytes", f"after a sequence an axon told {rest}")
    await ctx.sdk.api.axons.delete(axon.id)


async def rows_are_kept(ctx: Context) -> None:
    """Insert rows into the database of an axon, each once."""
    axon = await ctx.sdk.axon.create(name=ctx.new_name("axon"))
    await axon.sql.query(sql="CREATE TABLE t (n INTEGER, v TEXT)")
    texts = [ctx.text(ctx.chance.randint(0, 100)) for _ in range(ctx.chance.randint(1, 6))]
    for number, text in enumerate(texts):
        await axon.sql.query(sql="INSERT INTO t VALUES (?, ?)", params=[number, text])
    batch = await axon.sql.batch(
        statements=[{"sql": "UPDATE t SET n = n + 1"}, {"sql": "SELECT n, v FROM t ORDER BY n"}]
    )
    last = batch.results[-1].success
    found = None if last is None else last.rows
    wanted = [[number + 1, text] for number, text in enumerate(texts)]
    expect(found == wanted, "double runs", f"the rows of an axon are {found} instead of {wanted}")
    await ctx.sdk.api.axons.delete(axon.id)


async def secrets_are_kept(ctx: Context) -> None:
    """Create, update, list and delete a secret."""
    name = ctx.name.upper().replace("-", "_")
    await ctx.sdk.secret.create(name, "first")
    await ctx.sdk.secret.update(name, "second")
    names = [view.name async for view in ctx.sdk.api.secrets.list(limit=50)]
    expect(names.count(name) == 1, "losses", f"a secret is listed {names.count(name)} times")
    async with await ctx.sdk.devbox.create(name=ctx.new_name("devbox"), secrets={"S": name}) as devbox:
        same(await (await devbox.cmd.exec('printf %s "$S"')).stdout(), "second", "a secret in a devbox")
    await ctx.sdk.secret.delete(name)


async def configs_are_kept(ctx: Context) -> None:
    """Create, update and delete a network policy, a gateway config and an MCP config."""
    policy = await ctx.sdk.network_policy.create(name=ctx.new_name("policy"), allowed_hostnames=["example.com"])
    gateway = await ctx.sdk.gateway_config.create(
        name=ctx.new_name("gateway"), endpoint=_ENDPOINT, auth_mechanism={"type": "bearer"}
    )
    mcp = await ctx.sdk.mcp_config.create(name=ctx.new_name("mcp"), endpoint=_ENDPOINT, allowed_tools=["*"])
    for made in (policy, gateway, mcp):
        text = f"changed {ctx.chance.getrandbits(16)}"
        await made.update(description=text)
        same((await made.get_info()).description or "", text, "a description")
        await made.delete()


async def _publish(axon: AsyncAxon, payload: str) -> int:
    result = await axon.publish(event_type="soak", origin="USER_EVENT", payload=payload, source="soak")
    return result.sequence


SCENARIOS: dict[Scenario, int] = {events_are_kept: 1, rows_are_kept: 1, secrets_are_kept: 1, configs_are_kept: 1}
