// Questions, menus and forms.

/** A question that is answered with no unless one says yes. */
function ask(root, { title, text, items, more, yes }, answer) {
  const list = h("ul", { class: "rl-doomed", tabindex: "0", "aria-label": "What it is about" }, items.map(([name, id, status]) =>
    h("li", {}, h("b", {}, name), name === id ? null : h("code", {}, id), status && words(statusLook(status).label)),
  ));
  if (more) list.append(h("li", {}, `and ${more.toLocaleString()} more`));
  const no = button("Cancel", () => close(false));
  const dialog = h(
    "dialog",
    { class: "rl-dialog", "aria-label": title },
    h("h2", {}, title), text && h("p", {}, text), list,
    h("div", { class: "rl-dialog-end" }, no, button(yes, () => close(true), { kind: "rl-destructive" })),
  );
  const close = (value) => {
    dialog.close();
    dialog.remove();
    answer(value);
  };
  return openDialog(root, dialog, no, () => close(false));
}

/** A link to copy or open, with the token that it needs. */
function showLink(root, { title, url, token }) {
  const close = () => (dialog.close(), dialog.remove());
  const open = h("a", { class: "rl-button rl-primary", href: /^https?:/.test(url) ? url : null, target: "_blank", rel: "noopener noreferrer" }, icon("link"), words("Open"));
  const dialog = h(
    "dialog",
    { class: "rl-dialog", "aria-label": title },
    h("h2", {}, title),
    h("div", { class: "rl-copyline" }, h("code", {}, url), copyButton(url, "Copy the link")),
    token && h("p", {}, "Whoever connects sends this token in the header X-Runloop-Tunnel-Authorization, after Bearer."),
    token && h("div", { class: "rl-copyline" }, h("code", {}, "•".repeat(24)), copyButton(token, "Copy the token")),
    h("div", { class: "rl-dialog-end" }, button("Close", close), open),
  );
  openDialog(root, dialog, open, close);
}

function openDialog(root, dialog, focused, cancel) {
  const before = document.activeElement;
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    cancel();
  });
  dialog.addEventListener("close", () => before?.focus?.());
  root.append(dialog);
  dialog.showModal();
  focused.focus();
  return dialog;
}

function copyButton(text, title, say = () => {}) {
  const made = button("", async () => {
    await copyText(text);
    made.replaceChildren(icon("tick", "ok"));
    say("Copied.");
    setTimeout(() => made.replaceChildren(icon("copy")), 1200);
  }, { shape: "copy", kind: "rl-flat", title });
  return made;
}

/** A menu at a place in the page: [label, act, {disabled, destructive, why}] for each entry, null for a line. */
function openMenu(root, entries, at, after) {
  root.querySelector(".rl-menu")?.remove();
  const items = entries.map((entry) =>
    entry
      ? h("button", { type: "button", role: "menuitem", class: `rl-item ${entry[2]?.destructive ? "rl-destructive-item" : ""}`, tabindex: "-1",
          "aria-disabled": entry[2]?.disabled ? "true" : null, title: entry[2]?.why || null,
          onclick: () => { if (!entry[2]?.disabled) { close(); entry[1](); } } }, entry[0])
      : h("div", { class: "rl-line", role: "separator" }),
  );
  const menu = h("div", { class: "rl-menu", role: "menu", "aria-label": "Actions" }, ...items);
  const away = (event) => { if (!menu.contains(event.target)) close(false); };
  const close = (back = true) => {
    menu.remove();
    document.removeEventListener("pointerdown", away, true);
    if (back) after?.();
  };
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && event.key !== "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });
  roving(menu, ".rl-item", { vertical: true });
  root.append(menu);
  const frame = root.getBoundingClientRect();
  const left = Math.max(4, Math.min(at.left - frame.left, frame.width - menu.offsetWidth - 8));
  const below = at.bottom - frame.top + 2;
  const top = below + menu.offsetHeight > frame.height - 4 ? Math.max(4, frame.height - menu.offsetHeight - 6) : below;
  menu.style.left = `${left}px`;
  menu.style.top = `${top}px`;
  document.addEventListener("pointerdown", away, true);
  (items.find((item) => item.matches("[role=menuitem]:not([aria-disabled])")) || items[0])?.focus();
}

/** A form in the side pane. Its values go to the kernel, which says what is wrong with them. */
class FormPane {
  constructor(spec, { send, close, insert }) {
    this.spec = spec;
    this.send = send;
    this.touched = new Set();
    this.fields = new Map(spec.fields.map((field) => [field.name, this.field(field)]));
    this.problem = h("p", { class: "rl-form-problem", role: "alert", hidden: true });
    this.magic = h("code", {});
    this.submit = h("button", { type: "submit", class: "rl-button rl-primary" }, words(spec.submit));
    const plain = spec.fields.filter((field) => !field.more).map((field) => this.fields.get(field.name).element);
    const more = spec.fields.filter((field) => field.more).map((field) => this.fields.get(field.name).element);
    const secret = spec.fields.some((field) => field.form === "hidden");
    this.form = h(
      "form",
      { class: "rl-form", novalidate: true, autocomplete: "off", onsubmit: (event) => this.sent(event) },
      this.problem,
      ...plain,
      more.length ? h("details", {}, h("summary", {}, "More"), ...more) : null,
      h("div", { class: "rl-magic" }, words(secret ? "In a cell, which asks for the value:" : "The same in a cell:"),
        h("pre", { tabindex: "0", role: "group", "aria-label": "The same in a cell" }, this.magic), button("Insert cell", () => insert(this.magic.textContent), { shape: "insert", kind: "rl-flat" })),
      h("div", { class: "rl-form-end" }, button("Cancel", close), this.submit),
    );
    const about = spec.about ? h("p", { class: "rl-about" }, spec.about) : null;
    this.element = h("div", { class: "rl-pane-body" }, about, this.form);
    this.form.addEventListener("input", (event) => this.changed(event.target.name));
    this.form.addEventListener("change", (event) => this.changed(event.target.name));
    this.ask();
  }

  field({ name, label, form, hint, options, value }) {
    const id = `rl-${Math.random().toString(36).slice(2)}`;
    const common = { id, name, "aria-describedby": `${id}-hint ${id}-problem` };
    const input =
      form === "choice" ? h("select", common, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)))
      : form === "lines" ? h("textarea", { ...common, rows: name === "dockerfile" ? "8" : "3", placeholder: hint, spellcheck: "false" })
      : form === "switch" ? h("input", { ...common, type: "checkbox", checked: value === "yes" })
      : h("input", { ...common, type: form === "hidden" ? "password" : "text", placeholder: hint, autocomplete: form === "hidden" ? "new-password" : "off", spellcheck: "false" });
    if (form !== "choice" && form !== "switch") input.value = value;
    const problem = h("span", { class: "rl-problem", id: `${id}-problem` });
    const note = h("span", { class: "rl-hidden", id: `${id}-hint` }, hint);
    const title = h("label", { for: id }, label);
    const element = h("div", { class: `rl-field rl-field-${form}` }, ...(form === "switch" ? [input, title] : [title, input]), note, problem);
    return { element, input, problem, form };
  }

  values() {
    const value = ({ input, form }) => (form === "switch" ? (input.checked ? "yes" : "") : input.value);
    return Object.fromEntries([...this.fields].map(([name, field]) => [name, value(field)]));
  }

  changed(name) {
    this.touched.add(name);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), 150);
  }

  ask() {
    this.send("check", { name: this.spec.name, values: this.values() });
  }

  sent(event) {
    event.preventDefault();
    clearTimeout(this.timer);
    for (const name of this.fields.keys()) this.touched.add(name);
    this.submit.disabled = true;
    this.problem.hidden = true;
    this.send("submit", { name: this.spec.name, values: this.values() });
  }

  checked({ problems, magic }) {
    setText(this.magic, magic);
    for (const [name, { input, problem }] of this.fields) {
      const text = this.touched.has(name) ? problems[name] || "" : "";
      setText(problem, text);
      setAttribute(input, "aria-invalid", text ? "true" : null);
    }
  }

  refused({ text }) {
    this.submit.disabled = false;
    this.problem.hidden = !text;
    setText(this.problem, text);
    const wrong = [...this.fields.values()].find(({ input }) => input.getAttribute("aria-invalid"));
    if (wrong) wrong.input.closest("details")?.setAttribute("open", "");
    (wrong?.input || this.submit).focus();
  }

  focus() {
    this.form.querySelector("input, select, textarea")?.focus();
  }
}
