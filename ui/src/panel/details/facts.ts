import { copyButton } from "../../dom/clipboard";
import { h, text } from "../../dom/elements";
import { bytes } from "../../format/bytes";
import { statusLook } from "../../format/statuses";
import { exactTime, span } from "../../format/times";
import type { Fact } from "../../protocol/panel";

/** A list of facts, of which those that are typed elsewhere can be copied. */
export function factList(facts: readonly Fact[], say: (sentence: string) => void): HTMLElement {
  return h(
    "dl",
    { class: "rl-facts" },
    facts.map((fact) => [h("dt", {}, fact[0]), definition(fact, say)]),
  );
}

export function factText([label, value, form]: Fact): string {
  if (label === "Status" || label === "State") return statusLook(String(value).toLowerCase()).label;
  if (form === "time") return exactTime(value as number);
  if (form === "bytes") return bytes(value as number);
  if (form === "seconds") return span((value as number) * 1000);
  return String(value);
}

function definition(fact: Fact, say: (sentence: string) => void): HTMLElement {
  const [label, , form] = fact;
  const shown = factText(fact);
  const copied = form === "id" || label === "Name" || label === "ID";
  const copy = copied && copyButton(`Copy ${label}`, () => shown, say);
  return h("dd", {}, form === "id" ? h("code", {}, shown) : text(shown), copy);
}
