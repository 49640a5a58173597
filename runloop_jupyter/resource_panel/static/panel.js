// The panel: tabs, toolbar, table, side pane, what is open below, and what the user is told.

const PIECE = 512 * 1024;
const PIECES_AHEAD = 4;
const KEYS = { console: ".rlc-line", terminal: ".xterm-helper-textarea", logs: ".rlt-list", files: ".rlt-list" };

class PanelView {
  constructor(model, store, root) {
    this.model = model;
    this.store = store;
    this.root = root;
    this.name = `v${Math.random().toString(36).slice(2)}`;
    this.state = { tab: "devbox", widths: {}, sorts: {}, ...model.get("layout_state") };
    this.arrangements = new Map([...store.kinds].map(([name, kind]) => [name, new Arrangement(kind, store)]));
    for (const [name, sort] of Object.entries(this.state.sorts)) if (this.arrangements.has(name)) this.arrangements.get(name).sort = sort;
    this.selected = new Set();
    this.openId = null;
    this.pane = null;
    this.uploads = new Map();
    this.dirty = new Set();
    this.build();
    this.listen();
    this.switchTo(this.store.kinds.has(this.state.tab) ? this.state.tab : "devbox", { first: true });
  }

  get kind() {
    return this.store.kinds.get(this.tab);
  }

  get table() {
    return this.store.tables.get(this.tab);
  }

  get arrangement() {
    return this.arrangements.get(this.tab);
  }

  build() {
    this.tabs = h("div", { class: "rl-tabs", role: "tablist", "aria-label": "Kinds of resources" });
    roving(this.tabs, "[role=tab]");
    this.tabs.addEventListener("wheel", (event) => { this.tabs.scrollLeft += event.deltaY; }, { passive: true });
    this.live = h("div", { class: "rl-live" });
    this.searchBox = h("input", { type: "search", class: "rl-search-input", placeholder: "Search", "aria-label": "Search", oninput: () => this.search() });
    this.chips = h("div", { class: "rl-chips", role: "group", "aria-label": "Filter by status" });
    this.make = button("", () => this.create(), { shape: "plus", kind: "rl-primary rl-make", title: "New" });
    this.pruneButton = button("Prune…", () => this.prune(), { kind: "rl-flat", title: "Delete what is of no more use, after a question" });
    this.banner = h("div", { class: "rl-banner", role: "alert", hidden: true });
    this.wait = h("div", { class: "rl-banner rl-wait", role: "status", hidden: true });
    this.grid = new Grid(this.store, this);
    this.empty = h("div", { class: "rl-empty", hidden: true });
    this.side = h("div", { class: "rl-side", role: "group", hidden: true, "aria-label": "Details" });
    this.foot = h("div", { class: "rl-foot" });
    this.strip = h("div", { class: "rl-strip", role: "group", "aria-label": "Open tools", hidden: true });
    this.told = h("div", { class: "rl-hidden", role: "status", "aria-live": "polite" });
    this.toasts = h("div", { class: "rl-toasts" });
    this.picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => { this.upload([...this.picker.files]); this.picker.value = ""; } });
    const notice = this.model.get("notice");
    this.panelBody = h("div", { class: "rl-body", role: "tabpanel", id: `${this.name}-body` }, h("div", { class: "rl-main" }, this.grid.element, this.empty), this.side);
    this.element = h(
      "div",
      { class: "rl-panel", role: "group", "aria-label": "Runloop resources", "data-jp-suppress-context-menu": true },
      h("div", { class: "rl-top" }, this.tabs, this.live),
      h("div", { class: "rl-bar" }, h("div", { class: "rl-search" }, icon("search"), this.searchBox), this.chips, h("div", { class: "rl-bar-end" }, this.pruneButton, this.make)),
      notice && h("div", { class: "rl-banner rl-wait" }, icon("warn", "warn"), words(notice)),
      this.banner, this.wait, this.panelBody, this.foot, this.strip, this.toasts, this.told, this.picker,
    );
    this.element.runloop = this; // for whoever looks into the page
    this.root.replaceChildren(this.element);
  }

  listen() {
    this.onStore = (event, detail) => this.hear(event, detail);
    this.store.listeners.add(this.onStore);
    this.element.addEventListener("keydown", (event) => this.key(event));
    for (const type of ["keypress", "keyup", "paste", "copy"]) this.element.addEventListener(type, (event) => event.stopPropagation());
    this.sizes = new ResizeObserver(() => this.resized());
    this.sizes.observe(this.grid.element);
    this.sizes.observe(this.element);
    this.seen = new IntersectionObserver(([entry]) => this.nowVisible(entry.isIntersecting));
    this.seen.observe(this.element);
    this.onPage = () => this.nowVisible(this.inView);
    document.addEventListener("visibilitychange", this.onPage);
    this.inView = true;
    this.visible = !document.hidden;
    this.beat = setInterval(() => this.send("here", { view: this.name, visible: this.visible }), 15000);
    this.ticker = setInterval(() => this.tick(), 1000);
    this.dropTarget();
    this.send("hello", { view: this.name, visible: this.visible, kinds: this.wanted() });
  }

  dispose() {
    this.store.listeners.delete(this.onStore);
    if (this.store.lastUsed === this) this.store.lastUsed = undefined;
    this.sizes.disconnect();
    this.seen.disconnect();
    document.removeEventListener("visibilitychange", this.onPage);
    clearInterval(this.beat);
    clearInterval(this.ticker);
    if (!this.store.listeners.size) this.store.forget();
    this.root.replaceChildren(); // a front end may keep its element: not with all that is in it
    this.send("bye", { view: this.name });
  }

  send(op, content) {
    this.store.send(op, content);
  }

  wanted() {
    const tab = this.tab || this.state.tab;
    return [tab, ...(this.store.kinds.get(tab)?.needs || [])];
  }

  nowVisible(inView) {
    this.inView = inView;
    const visible = inView && !document.hidden;
    if (visible === this.visible) return;
    this.visible = visible;
    this.send("here", { view: this.name, visible });
    if (visible) this.grid.redecorate();
  }

  resized() {
    const width = this.element.clientWidth;
    this.element.classList.toggle("rl-narrow", width < 640);
    const room = this.grid.element.clientWidth;
    if (room && room !== this.room) {
      this.room = room;
      this.grid.layout();
    } else this.grid.paint();
  }

  tick() {
    this.store.fade(FLASH_MS);
    const waited = this.store.waiting();
    const cut = kernelIsGone(this.model, this.root);
    this.lost = Boolean(cut || this.store.over || waited > 20000); // what is shown is as it was
    if (this.visible && !this.lost) this.grid.tick();
    if (!this.lost) this.pane?.tick?.();
    const text = cut ? "The kernel was restarted or has ended. Run this cell again for a live panel."
      : this.store.over ? this.store.over
      : waited > 20000 ? "No answer from the kernel for a while. If it was restarted, run this cell again."
      : waited > 1500 ? "Waiting for the kernel: a running cell may block it. Your click is not lost." : "";
    this.wait.hidden = !text;
    if (text && this.wait.textContent !== text) this.wait.replaceChildren(icon("warn", "warn"), words(text));
    this.showHealth();
  }

  // What the kernel says

  hear(event, detail) {
    const handler = this[`hear_${event}`];
    if (handler) handler.call(this, detail || {});
  }

  hear_ack() {
    if (!this.wait.hidden || this.store.over) this.tick();
  }

  hear_welcome() {
    this.showTabs();
    this.showHealth();
    this.showStrip();
    this.grid.redecorate();
    if (this.pane instanceof DetailPane) this.send("detail", { view: this.name, kind: this.pane.kind.name, id: this.pane.id });
  }

  hear_served() {
    this.showTabs();
  }

  hear_rows({ kind, all, rows, before, gone }) {
    const arrangement = this.arrangements.get(kind);
    if (all) arrangement.all(this.store.tables.get(kind).rows);
    else arrangement.patch(rows, before, gone);
    this.dirty.add(kind);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => this.showRows());
  }

  showRows() {
    this.frame = null;
    const kinds = this.dirty;
    this.dirty = new Set();
    if (kinds.has(this.tab)) {
      const { rows } = this.table;
      for (const id of this.selected) if (!rows.has(id) || this.isAway(rows.get(id))) this.selected.delete(id);
      this.grid.refresh();
      this.showChips();
      this.showEmpty();
      this.showFoot();
      this.pane?.refresh?.();
    } else {
      this.arrangement.sourcesChanged();
      this.grid.redecorate();
    }
    this.showTabs();
  }

  /** What has ended is chosen no longer where only those are shown that have not. */
  isAway(row) {
    return this.arrangement.status === null && this.kind.ended.has(this.kind.status(row));
  }

  hear_health({ kind }) {
    if (kind === this.tab) this.showHealth();
  }

  hear_marks(marks) {
    this.grid.redecorate();
    this.pane?.refresh?.();
    const [failed, ...others] = marks.filter(([, , mark]) => mark.error);
    const more = others.length ? ` And ${others.length.toLocaleString()} more failed: each row says why.` : "";
    if (failed) this.say(`${this.nameOf(failed[0], failed[1])}: ${failed[2].error}${more}`, true);
  }

  hear_current() {
    this.grid.redecorate();
  }

  hear_dock() {
    this.showStrip();
    if (this.opening && this.store.tool.startsWith(this.opening)) this.enterTool();
  }

  /** Put the keyboard into the tool that was asked for, once the page has it: what is typed next is meant for it. */
  enterTool() {
    const [tool, id] = this.opening.split(":");
    const box = this.element.closest(".runloop-panel-box");
    const until = performance.now() + 10000;
    this.opening = null;
    const look = () => {
      const here = document.activeElement === document.body || this.element.contains(document.activeElement);
      if (!here || performance.now() > until) return;
      const open = [...(box?.querySelectorAll(`.rlt-${tool}[aria-label*="${CSS.escape(id)}"]`) ?? [])].filter((each) => each.offsetParent);
      const field = open.at(-1)?.querySelector(KEYS[tool]);
      field?.focus();
      if (!field || document.activeElement !== field) setTimeout(look, 50); // it is not there yet, or cannot take it yet
    };
    look();
  }

  hear_say({ text, error }) {
    this.say(text, error);
  }

  hear_confirm(question) {
    if (this.isMine()) ask(this.element, question, (yes) => this.send("answer", { token: question.token, yes }));
  }

  hear_form(spec) {
    if (!this.isMine()) return;
    const pane = new FormPane(spec, { send: (op, content) => this.send(op, content), close: () => this.closePane(), insert: (code) => this.insert(code) });
    this.openPane(pane, spec.title);
    pane.focus();
  }

  hear_checked(content) {
    if (this.pane?.spec?.name === content.name) this.pane.checked(content);
  }

  hear_refused(content) {
    if (this.pane?.spec?.name === content.name) this.pane.refused(content);
  }

  hear_form_done({ name }) {
    if (this.pane?.spec?.name === name) this.closePane();
  }

  hear_link(content) {
    if (this.isMine()) showLink(this.element, content);
  }

  hear_look_at({ kind, id }) {
    if (!this.isMine()) return;
    this.switchTo(kind);
    this.openDetailOf(kind, id);
  }

  hear_detail(content) {
    if (content.view === this.name && this.pane instanceof DetailPane && this.pane.id === content.id) this.pane.show(content);
  }

  hear_log(content) {
    if (content.view === this.name && this.pane instanceof DetailPane && this.pane.id === content.id) this.pane.addLog(content);
  }

  hear_upload({ key, received, done }) {
    const upload = this.uploads.get(key);
    if (!upload) return;
    if (done) this.uploads.delete(key);
    else upload.received(received);
    this.showFoot();
  }

  /** Of several views of one panel, the one that was used last is asked. */
  isMine() {
    return this.store.lastUsed === undefined || this.store.lastUsed === this;
  }

  // What is shown

  showTabs() {
    const names = [...this.store.kinds.keys()].filter((name) => this.store.served.includes(name));
    renew(this.tabs, names.map((name) => {
      const kind = this.store.kinds.get(name);
      const { rows } = this.store.tables.get(name);
      let live = rows.size;
      for (const [status, number] of this.store.tables.get(name).counts) if (kind.ended.has(status)) live -= number;
      const chosen = name === this.tab;
      return h("button", { type: "button", role: "tab", class: "rl-tab", "aria-selected": String(chosen), "aria-controls": `${this.name}-body`,
        tabindex: chosen ? "0" : "-1", "data-key": name, onclick: () => this.switchTo(name) },
        words(kind.title), live ? h("span", { class: "rl-count" }, live.toLocaleString()) : null);
    }));
  }

  showChips() {
    const { counts, rows } = this.table;
    const { kind } = this;
    if (kind.at.status === undefined && kind.at.state === undefined) {
      this.chips.replaceChildren();
      return;
    }
    let ended = 0;
    for (const [status, number] of counts) if (kind.ended.has(status)) ended += number;
    const entries = kind.ended.size ? [[null, "Live", rows.size - ended], ["", "All", rows.size]] : [["", "All", rows.size]];
    const shown = this.arrangement.status;
    if (shown === null && !kind.ended.size) this.arrangement.status = "";
    const order = [...counts].sort((a, b) => b[1] - a[1]);
    for (const [status, number] of order) entries.push([status, statusLook(status).label, number]);
    if (shown && !counts.has(shown)) entries.push([shown, statusLook(shown).label, 0]);
    const key = JSON.stringify([entries, this.arrangement.status]);
    if (key === this.chipKey) return;
    this.chipKey = key;
    renew(this.chips, entries.map(([status, label, number]) => {
      const { shape, tone } = status ? statusLook(status) : {};
      return h("button", { type: "button", class: "rl-chip", "data-key": `status ${status}`, "aria-pressed": String(this.arrangement.status === status), onclick: () => this.filter(status) },
        status && icon(shape, tone), words(label), h("span", { class: "rl-count" }, number.toLocaleString()));
    }));
  }

  showHealth() {
    const health = this.store.health[this.tab] || { loading: true };
    const seconds = health.retry ? Math.max(0, Math.round((health.retry - this.store.now()) / 1000)) : null;
    const live = this.lost ? ["ring", "quiet", "Not live"] : health.error ? ["warn", "bad", "Not live"] : health.loading ? ["spin", "info", "Loading"] : ["disc", "ok", "Live"];
    const key = live.join();
    if (key !== this.liveKey) {
      this.liveKey = key;
      this.live.replaceChildren(icon(live[0], live[1]), words(live[2]));
      this.live.title = this.store.service ? `Connected to ${this.store.service}` : "";
    }
    this.banner.hidden = !health.error || this.lost;
    if (health.error && health.error !== this.bannerText) {
      this.countdown = h("span", { class: "rl-quiet", "aria-hidden": "true" });
      const label = health.error.includes("press Start") ? "Start" : "Try now";
      this.banner.replaceChildren(icon("warn", "bad"), words(health.error), this.countdown, button(label, () => this.send("retry"), { kind: "rl-flat" }));
    }
    this.bannerText = health.error;
    if (health.error) setText(this.countdown, seconds === null ? "" : seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…");
    this.showEmpty();
  }

  showEmpty() {
    const { kind, arrangement } = this;
    const { rows } = this.table;
    const health = this.store.health[this.tab] || { loading: true };
    const none = arrangement.shown.length === 0;
    let key = "";
    if (none && rows.size) key = "filtered";
    else if (none) key = health.error ? "error" : health.loading ? "loading" : "empty";
    this.empty.hidden = !none;
    key = `${this.tab} ${key} ${arrangement.status} ${rows.size}`;
    if (key === this.emptyKey) return;
    this.emptyKey = key;
    renew(this.empty, none ? this.emptyContent(kind, rows, health).filter(Boolean) : []);
  }

  emptyContent(kind, rows, health) {
    if (rows.size && this.arrangement.status === null && !this.arrangement.search) {
      return [h("p", {}, `No live ${kind.singular}. ${plural(rows.size, kind.singular)} ended.`), button("Show all", () => this.filter(""), {}), this.makeButton()];
    }
    if (rows.size) return [h("p", {}, "Nothing matches the search and the filter."), button("Show all", () => this.clearFilters(), {})];
    if (health.error) return [h("p", {}, `The ${kind.title.toLowerCase()} could not be loaded.`)];
    if (health.loading) return [icon("spin", "info"), h("p", {}, `Loading ${kind.title.toLowerCase()}…`)];
    return [h("p", {}, kind.empty), this.makeButton()];
  }

  makeButton() {
    return this.kind.create ? button(this.kind.create, () => this.create(), { shape: "plus", kind: "rl-primary" }) : "";
  }

  showFoot() {
    const count = this.selected.size;
    if (!count) {
      const { rows } = this.table;
      const shown = this.arrangement.shown.length;
      const progress = [...this.uploads.values()].map((upload) => h("span", { class: "rl-progress" }, upload.text(), h("progress", { max: "1", value: String(upload.part()), "aria-label": `Upload of ${upload.file.name}` })));
      const text = shown === rows.size ? plural(rows.size, this.kind.singular) : `${shown.toLocaleString()} of ${plural(rows.size, this.kind.singular)}`;
      renew(this.foot, [h("span", { class: "rl-quiet" }, text), ...progress], this.grid.element);
      return;
    }
    const rows = this.selectedRows();
    const seen = this.arrangement.shown.reduce((sum, row) => sum + this.selected.has(row[0]), 0);
    const unseen = seen < count ? words(`${(count - seen).toLocaleString()} of them not shown`) : null;
    const actions = this.kind.actions.filter((action) => action.many).map((action) => {
      const fit = rows.filter((row) => this.allowed(action, row));
      const label = fit.length === rows.length || !fit.length ? action.label : `${action.label.replace("…", "")} ${fit.length}${action.destructive ? "…" : ""}`;
      return button(label, () => this.act(action, fit), { kind: action.destructive ? "rl-destructive" : "", disabled: !fit.length, "data-action": action.name, "data-key": action.name });
    });
    const clear = button("Clear", () => this.select([]), { kind: "rl-flat", "data-key": "clear" });
    renew(this.foot, [h("b", {}, `${count.toLocaleString()} selected`), unseen, ...actions, h("span", { class: "rl-spring" }), clear].filter(Boolean), this.grid.element);
  }

  showStrip() {
    const { tools, tool } = this.store;
    this.strip.hidden = !tools.length;
    renew(this.strip, tools.map(([key, title]) =>
      h("span", { class: "rl-tool", "data-key": key },
        h("button", { type: "button", class: "rl-tool-title", "aria-pressed": String(key === tool), onclick: () => this.send("show_tool", { key: key === tool ? "" : key }) }, title),
        h("button", { type: "button", class: "rl-tool-close", title: `Close ${title}`, "aria-label": `Close ${title}`, onclick: () => this.send("close_tool", { key }) }, icon("cross")))), this.grid.element);
  }

  say(text, error = false) {
    setText(this.told, "");
    setText(this.told, text);
    const toast = h("div", { class: `rl-toast ${error ? "rl-toast-error" : ""}` }, icon(error ? "warn" : "tick", error ? "bad" : "ok"), words(text),
      button("", () => toast.remove(), { shape: "cross", kind: "rl-flat", title: "Dismiss" }));
    this.toasts.append(toast);
    while (this.toasts.children.length > 3) this.toasts.firstChild.remove();
    setTimeout(() => toast.remove(), error ? 12000 : 5000);
  }

  // What the user does

  switchTo(name, { first = false } = {}) {
    if (name === this.tab && !first) return;
    this.tab = name;
    this.selected.clear();
    if (!first) this.closePane();
    this.emptyKey = this.chipKey = this.bannerText = null;
    this.searchBox.value = this.arrangement.search;
    this.searchBox.placeholder = `Search ${this.kind.title.toLowerCase()}`;
    this.make.hidden = !this.kind.create;
    this.make.replaceChildren(icon("plus"), words(this.kind.create));
    this.make.setAttribute("aria-label", this.kind.create);
    this.pruneButton.hidden = !this.kind.prunes;
    this.arrangement.all(this.store.tables.get(name).rows);
    this.grid.active = null;
    this.showChips();
    this.arrangement.filter();
    this.grid.element.scrollTop = 0;
    this.grid.show(this.kind, this.arrangement, this.state.widths[name] || {});
    this.showTabs();
    this.showHealth();
    this.showEmpty();
    this.showFoot();
    if (first) return;
    this.keep({ tab: name });
    this.used();
    this.send("want", { kinds: this.wanted() });
  }

  keep(change) {
    Object.assign(this.state, change);
    this.model.set("layout_state", { ...this.state });
    this.model.save_changes();
  }

  keepWidths(widths) {
    this.keep({ widths: { ...this.state.widths, [this.tab]: widths } });
  }

  used() {
    this.store.lastUsed = this;
  }

  search() {
    this.arrangement.search = this.searchBox.value;
    this.rearranged();
  }

  focusSearch() {
    this.searchBox.focus();
  }

  filter(status) {
    this.arrangement.status = status;
    this.rearranged();
  }

  clearFilters() {
    this.searchBox.value = this.arrangement.search = "";
    this.filter("");
  }

  rearranged() {
    this.arrangement.filter();
    this.grid.element.scrollTop = 0;
    this.grid.refresh();
    this.showChips();
    this.showEmpty();
    this.showFoot();
    const count = this.arrangement.shown.length;
    clearTimeout(this.countTimer);
    this.countTimer = setTimeout(() => setText(this.told, `${plural(count, this.kind.singular)} shown`), 600);
  }

  sortBy(key) {
    const [before, direction] = this.arrangement.sort;
    this.arrangement.sort = [key, before === key ? -direction : 1];
    this.arrangement.all(this.table.rows);
    this.grid.layout();
    this.grid.header.querySelector(`.rl-head:not([aria-sort=none]) .rl-sort`)?.focus();
    this.keep({ sorts: { ...this.state.sorts, [this.tab]: this.arrangement.sort } });
  }

  select(ids) {
    this.selected = new Set(ids);
    this.used();
    this.grid.redecorate();
    this.showFoot();
  }

  selectAll(all) {
    this.select(all ? this.arrangement.shown.map((row) => row[0]) : []);
  }

  /** The table is as high as its rows, up to a limit. */
  needs(height) {
    this.panelBody.style.setProperty("--rl-need", `${height}px`);
  }

  toggle(id) {
    const ids = new Set(this.selected);
    if (!ids.delete(id)) ids.add(id);
    this.select(ids);
  }

  selectedRows() {
    const { rows } = this.table;
    return [...this.selected].map((id) => rows.get(id)).filter(Boolean);
  }

  moved(row) {
    if (this.pane instanceof DetailPane && this.pane.id !== row[0]) this.openDetail(row);
  }

  allowed(action, row) {
    return action.states === null || action.states.includes(this.kind.status(row));
  }

  act(action, rows) {
    this.used();
    this.opening = KEYS[action.name] && rows.length ? `${action.name}:${rows[0][0]}` : null;
    if (rows.length) this.send("act", { kind: this.tab, action: action.name, ids: rows.map((row) => row[0]) });
  }

  remove(row) {
    const rows = this.selected.has(row[0]) ? this.selectedRows() : [row];
    const action = this.kind.actions.find((each) => each.destructive);
    if (action) this.act(action, rows.filter((each) => this.allowed(action, each)));
  }

  dismiss(id) {
    this.send("dismiss", { kind: this.tab, id });
  }

  menu(row, at) {
    const status = statusLook(this.kind.status(row)).label;
    const entries = this.kind.actions.map((action) => {
      const disabled = !this.allowed(action, row);
      return [action.label, () => this.act(action, [row]), { disabled, destructive: action.destructive, why: disabled ? `Not while it is ${status}` : null }];
    });
    const destructive = entries.findIndex((entry) => entry[2].destructive);
    if (destructive > 0) entries.splice(destructive, 0, null);
    if (this.store.marks.get(`${this.tab}:${row[0]}`)?.error) entries.push(["Dismiss the message", () => this.dismiss(row[0])]);
    entries.push(null, ["Copy ID", () => this.copy(row[0])], ["Show details", () => this.openDetail(row)]);
    openMenu(this.element, entries, at, () => this.grid.element.focus({ preventScroll: true }));
  }

  async copy(text) {
    await copyText(text);
    this.say("Copied.");
  }

  prune() {
    this.used();
    this.send("prune", { kind: this.tab });
  }

  create() {
    this.used();
    if (this.kind.uploads) this.picker.click();
    else this.send("form", { name: this.tab });
  }

  key(event) {
    // Plain keys are ours: the notebook would take D twice for "delete this cell". Ctrl+S and its like are its own.
    if (!(event.ctrlKey || event.metaKey) || "acvxz".includes(event.key.toLowerCase())) event.stopPropagation();
    if (event.key !== "Escape" || this.element.querySelector(".rl-menu, dialog[open]")) return;
    if (event.target === this.searchBox && this.searchBox.value) {
      this.searchBox.value = "";
      this.search();
    } else if (this.pane) this.closePane();
    else if (this.selected.size) this.select([]);
    else return;
    event.preventDefault();
  }

  // The side pane

  openDetail(row) {
    this.openDetailOf(this.tab, row[0]);
  }

  openDetailOf(kind, id) {
    this.used();
    if (this.pane instanceof DetailPane && this.pane.id === id) return;
    const spec = this.store.kinds.get(kind);
    const pane = new DetailPane(spec, id, { store: this.store, say: (text) => this.say(text), insert: (code) => this.insert(code), actions: (row) => this.detailActions(row) });
    this.openId = id;
    this.openPane(pane, this.nameOf(kind, id), { status: true });
    this.send("detail", { view: this.name, kind, id });
    this.grid.redecorate();
  }

  detailActions(row) {
    const possible = this.kind.actions.filter((action) => this.allowed(action, row));
    return possible.map((action) => button(action.label, () => this.act(action, [row]), { kind: action.destructive ? "rl-destructive" : "", "data-action": action.name, "data-key": action.name }));
  }

  nameOf(kind, id) {
    const row = this.store.tables.get(kind)?.rows.get(id);
    return row ? this.store.kinds.get(kind).label(row) : id;
  }

  openPane(pane, title) {
    if (this.pane instanceof DetailPane && !(pane instanceof DetailPane)) this.send("close_detail", { view: this.name });
    if (!this.pane) this.before = document.activeElement;
    if (!(pane instanceof DetailPane)) this.openId = null;
    this.pane = pane;
    const close = button("", () => this.closePane(), { shape: "cross", kind: "rl-flat", title: "Close" });
    this.side.replaceChildren(h("div", { class: "rl-pane-head" }, h("h2", { title }, title), close), pane.element);
    this.side.setAttribute("aria-label", title);
    this.side.hidden = false;
    this.element.classList.add("rl-with-side");
    this.resized(); // at once: rows that were laid out anew a moment later would lose the next click
  }

  closePane() {
    if (!this.pane) return;
    if (this.pane instanceof DetailPane) this.send("close_detail", { view: this.name });
    this.pane = null;
    this.openId = null;
    const inside = this.side.contains(document.activeElement);
    this.side.hidden = true;
    this.side.replaceChildren();
    this.element.classList.remove("rl-with-side");
    this.resized();
    this.grid.redecorate();
    if (inside) (this.before?.isConnected ? this.before : this.grid.element).focus({ preventScroll: true });
  }

  /** Put a cell below the panel's own where the front end lets us; else copy its text. */
  async insert(code) {
    if (insertCell(this.model, this.store.shownAs, code)) this.say("Inserted a cell below this one.");
    else {
      await copyText(code);
      this.say("Copied: paste it into a cell.");
    }
  }

  // Uploads

  dropTarget() {
    const body = this.panelBody;
    const drags = (event) => this.kind.uploads && [...event.dataTransfer.types].includes("Files");
    body.addEventListener("dragover", (event) => {
      if (!drags(event)) return;
      event.preventDefault();
      event.stopPropagation();
      body.classList.add("rl-dropping");
    });
    body.addEventListener("dragleave", () => body.classList.remove("rl-dropping"));
    body.addEventListener("drop", (event) => {
      body.classList.remove("rl-dropping");
      if (!drags(event)) return;
      event.preventDefault();
      event.stopPropagation();
      this.upload([...event.dataTransfer.files]);
    });
  }

  upload(files) {
    for (const file of files) {
      const key = `${this.name}-${Math.random().toString(36).slice(2)}`;
      const upload = new FileUpload(file, key, this.store);
      this.uploads.set(key, upload);
      upload.run();
    }
    this.showFoot();
  }
}

/** One file on its way to the kernel, a few pieces ahead of what arrived. */
class FileUpload {
  constructor(file, key, store) {
    Object.assign(this, { file, key, store, arrived: 0, wake: null });
  }

  part() {
    return this.file.size ? this.arrived / this.file.size : 0;
  }

  text() {
    return `Uploading ${this.file.name} · ${Math.round(this.part() * 100)} %`;
  }

  received(count) {
    this.arrived = count;
    this.wake?.();
  }

  async run() {
    this.store.send("upload", { key: this.key, name: this.file.name });
    let whole = true;
    try {
      for (let at = 0; at < this.file.size; at += PIECE) {
        while (at - this.arrived > PIECES_AHEAD * PIECE) await new Promise((resolve) => { this.wake = resolve; });
        const piece = await this.file.slice(at, at + PIECE).arrayBuffer();
        this.store.send("upload_part", { key: this.key }, [piece]);
      }
    } catch (error) {
      whole = false;
      this.store.tell("say", { text: `${this.file.name} cannot be read: ${error.message}`, error: true });
    }
    this.store.send("upload_end", { key: this.key, whole });
  }
}

/** Whether a code cell could be put below the one that shows the widget `shownAs`. */
function insertCell(model, shownAs, code) {
  try {
    const notebook = model.widget_manager?.context?.model?.sharedModel;
    if (!notebook?.insertCell) return false;
    const shows = (cell) => JSON.stringify(cell.toJSON?.().outputs ?? []).includes(shownAs);
    const at = notebook.cells.findIndex((cell) => cell.cell_type === "code" && shows(cell));
    notebook.insertCell(at < 0 ? notebook.cells.length : at + 1, { cell_type: "code", source: code, metadata: {} });
    return true;
  } catch {
    return false; // another front end, or another version: the text is copied instead
  }
}

export default () => {
  let store;
  return {
    initialize({ model }) {
      store = new Store(model);
      return () => store.dispose();
    },
    render({ model, el }) {
      store ??= new Store(model);
      el.classList.add("rl-host");
      const view = new PanelView(model, store, el);
      return () => view.dispose();
    },
  };
};
