import { copyButton } from "../../dom/clipboard";
import { h } from "../../dom/elements";
import { bytes } from "../../format/bytes";
import { statusLook } from "../../format/statuses";
import { exactTime, span } from "../../format/times";
import type { Fact } from "../../protocol/panel";

/** What a list of facts needs: who says that something was copied, and the name of a resource, or its id. */
export interface FactsContext {
  say(sentence: string): void;
  nameOf(id: string): string;
}

/** A list of facts, of which those that are typed elsewhere can be copied. */
export function factList(facts: readonly Fact[], context: FactsContext): HTMLElement {
  return h(
    "dl",
    { class: "rl-facts" },
    facts.map((fact) => [h("dt", {}, fact[0]), definition(fact, context)]),
  );
}

export function factText([label, value, form]: Fact): string {
  if (label === "Status" || label === "State") return statusLook(String(value).toLowerCase()).label;
  if (form === "time") return exactTime(value as number);
  if (form === "bytes") return bytes(value as number);
  if (form === "seconds") return span((value as number) * 1000);
  return String(value);
}

/** Another resource is called by its name; its id is what the button copies, and what the mouse is told. */
function definition(fact: Fact, { say, nameOf }: FactsContext): HTMLElement {
  const [label, , form] = fact;
  const value = factText(fact);
  const copied = form === "id" || label === "Name" || label === "ID";
  const copy = copied && copyButton(`Copy ${label}`, () => value, say);
  const name = form === "id" && label !== "ID" ? nameOf(value) : value;
  const title = name !== value && value;
  return h("dd", {}, form === "id" && name === value ? h("code", {}, value) : h("span", { title }, name), copy);
}
