import { describe, expect, test } from "vitest";
import { EventOrder } from "../src/event_order";

const at = (number: number) => ({ at: number });
const seq = (number: number) => ({ seq: number });

describe("the order of events", () => {
  test.each([
    ["nothing for all counts before the snapshot", [seq(1), seq(2)], ["ignore", "ignore"]],
    ["what the snapshot holds is ignored", [at(2), seq(1), seq(2), seq(3)], ["take", "ignore", "ignore", "take"]],
    ["one that was lost is a gap", [at(0), seq(1), seq(3)], ["take", "take", "gap"]],
    ["what comes twice counts once", [at(0), seq(1), seq(1)], ["take", "take", "ignore"]],
    ["one that was lost before an event for this view is a gap, too", [at(1), at(2)], ["take", "gap"]],
    ["a second part of the snapshot counts", [at(1), at(1), seq(2), at(2)], ["take", "take", "take", "take"]],
    ["an older part does not move back", [at(3), at(1), seq(4)], ["take", "take", "take"]],
    ["messages without a number are taken", [{}, seq(1), {}], ["take", "ignore", "take"]],
  ])("%s", (_, events, wanted) => {
    const order = new EventOrder();
    expect(events.map((event) => order.accept(event))).toEqual(wanted);
  });

  test("after a restart nothing counts until the next snapshot", () => {
    const order = new EventOrder();
    order.accept(at(4));
    order.restart();
    expect(order.started).toBe(false);
    expect([order.accept(seq(5)), order.accept(at(7)), order.accept(seq(8))]).toEqual(["ignore", "take", "take"]);
  });
});
