// Everything about one resource, in the side pane.

class DetailPane {
  constructor(kind, id, { store, insert, say, actions }) {
    this.kind = kind;
    this.id = id;
    this.store = store;
    this.insert = insert;
    this.say = say;
    this.actions = actions;
    this.content = h("div", { class: "rl-detail-content" }, h("p", { class: "rl-quiet" }, "Loading…"));
    this.tools = h("div", { class: "rl-detail-actions" });
    this.log = h("pre", { class: "rl-log", tabindex: "0", role: "log", "aria-label": "Build log", hidden: true });
    this.element = h("div", { class: "rl-pane-body", tabindex: "-1" }, this.tools, this.log, this.content);
    this.opened = new Set(["Details", "Metadata", "Cells that do this"]);
    this.refresh();
  }

  /** The row changed: other actions are possible. */
  refresh() {
    const row = this.store.tables.get(this.kind.name).rows.get(this.id);
    const mark = this.store.marks.get(`${this.kind.name}:${this.id}`);
    const key = row ? `${this.kind.status(row)} ${mark?.error || ""}` : null;
    if (key === this.key) return;
    this.key = key;
    const failure = mark?.error && h("p", { class: "rl-form-problem" }, mark.error);
    renew(this.tools, [...(row ? this.actions(row) : [h("p", { class: "rl-quiet" }, "It is gone.")]), failure].filter(Boolean), this.log.hidden ? this.element : this.log);
  }

  show(detail) {
    if (detail.error) {
      this.content.replaceChildren(h("p", { class: "rl-form-problem", role: "alert" }, detail.error));
      return;
    }
    this.lasting = null;
    const top = this.element.scrollTop;
    this.content.replaceChildren(
      this.section("Details", h("dl", { class: "rl-facts" }, detail.facts.map((fact) => this.fact(...fact)))),
      detail.history.length ? this.section("History", this.history(detail.history)) : "",
      detail.metadata.length ? this.section("Metadata", h("dl", { class: "rl-facts" }, detail.metadata.map(([key, value]) => this.fact(key, value, "text")))) : "",
      this.section("Cells that do this", h("div", {}, detail.cells.map((cell) => this.cell(...cell)))),
      this.section("Raw JSON", h("div", { class: "rl-raw" }, copyButton(detail.raw, "Copy the JSON", this.say), h("pre", { tabindex: "0", role: "group", "aria-label": "Raw JSON" }, detail.raw))),
    );
    this.element.scrollTop = top;
    this.tick();
  }

  /** The state that it is in goes on. */
  tick() {
    if (this.lasting) setText(this.lasting[0], `for ${exactSpan(this.store.now() - this.lasting[1])}`);
  }

  section(title, body) {
    const element = h("details", { class: "rl-section", open: this.opened.has(title) || (title === "History" && !this.opened.has("-History")) }, h("summary", {}, title), body);
    element.addEventListener("toggle", () => {
      this.opened[element.open ? "add" : "delete"](title);
      this.opened[element.open ? "delete" : "add"](`-${title}`);
    });
    return element;
  }

  fact(label, value, form) {
    const text = form === "time" ? exactTime(value) : form === "bytes" ? bytes(value) : form === "seconds" ? span(value * 1000) : String(value);
    const shown = label === "Status" || label === "State" ? statusLook(String(value).toLowerCase()).label : text;
    const copied = form === "id" || label === "Name" || label === "ID" ? copyButton(text, `Copy ${label}`, this.say) : "";
    return [h("dt", {}, label), h("dd", {}, form === "id" ? h("code", {}, shown) : words(shown), copied)];
  }

  history(steps) {
    const ended = this.kind.ended;
    return h("ol", { class: "rl-history" }, steps.map(([status, at, reason], index) => {
      const { shape, tone, label } = statusLook(status);
      const next = steps[index + 1]?.[1];
      const last = index === steps.length - 1;
      const lasts = last && at && !ended.has(status);
      const lasted = h("span", { class: "rl-lasted" }, at && next ? exactSpan(next - at) : "");
      if (lasts) this.lasting = [lasted, at];
      const when = at ? new Date(at).toLocaleTimeString() : "";
      return h("li", {}, last || shape !== "spin" ? icon(shape, tone) : icon("ring", "quiet"), words(label + (reason ? ` (${reason})` : "")), h("time", {}, when), lasted);
    }));
  }

  cell(label, code) {
    const actions = [button("Insert", () => this.insert(code), { shape: "insert", kind: "rl-flat", "aria-label": `Insert a cell: ${label}` }), copyButton(code, `Copy: ${label}`, this.say)];
    return h("div", { class: "rl-snippet" }, h("div", { class: "rl-snippet-head" }, words(label), ...actions), h("pre", { tabindex: "0", role: "group", "aria-label": label }, code));
  }

  addLog({ start, lines }) {
    const atEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 8;
    if (!start) this.log.replaceChildren();
    this.log.hidden = false;
    this.log.append(...lines.map(([level, text]) => h("span", { class: /error/i.test(level) ? "rl-log-error" : null }, `${text.replace(/\n$/, "")}\n`)));
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }
}
