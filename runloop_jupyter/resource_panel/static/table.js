// The rows of one kind: only those that can be seen are in the page, and they are used again as one scrolls.

const ROW = 28;
const SPARE = 6;
const FLASH_MS = 1400;
const CHECK_WIDTH = 34;
const MORE_WIDTH = 36;
const SIZES = ["x-small", "small", "medium", "large", "x-large", "xx-large"];

/** Which rows are shown, in which order. Keeps all rows sorted, so that a change costs little. */
class Arrangement {
  constructor(kind, store) {
    this.kind = kind;
    this.store = store;
    this.source = kind.columns.find((column) => column.form === "source");
    this.sorted = [];
    this.shown = [];
    this.search = "";
    this.status = null; // null: all that have not ended; "": all
    this.sort = [this.kind.at.created === undefined ? "name" : "created", -1];
    this.sourcesChanged();
  }

  /** What is found in rows, and how they are sorted, may be by other names now. */
  sourcesChanged() {
    this.haystacks = new WeakMap();
    this.value = this.valueBy(this.sort[0]);
  }

  haystack(row) {
    let text = this.haystacks.get(row);
    if (text === undefined) {
      const source = this.source ? this.store.sourceName(row[this.source.at]) : "";
      text = [...row.filter((value) => typeof value === "string"), source].join("\n").toLowerCase();
      this.haystacks.set(row, text);
    }
    return text;
  }

  /** What rows are sorted by: what the column shows, as a number or in small letters. */
  valueBy(key) {
    const { at, form } = this.kind.columns.find((column) => column.key === key) || {};
    const { created } = this.kind.at;
    const now = this.store.now();
    if (form === "ending") return (row) => row[at] ?? row[this.kind.at.until] ?? Infinity;
    if (form === "span") return (row) => (row[created] === null ? -1 : (row[at] ?? now) - row[created]);
    if (form === "source") return (row) => this.store.sourceName(row[at]).toLowerCase();
    if (key === "size" && form === "text") return (row) => SIZES.indexOf(row[at]);
    return (row) => (typeof row[at] === "string" ? row[at].toLowerCase() : row[at] ?? -1);
  }

  compare(a, b) {
    const x = this.value(a);
    const y = this.value(b);
    return (x < y ? -1 : x > y ? 1 : 0) * this.sort[1] || (a[0] < b[0] ? -1 : 1);
  }

  all(rows) {
    this.value = this.valueBy(this.sort[0]);
    this.sorted = [...rows.values()].sort((a, b) => this.compare(a, b));
    this.filter();
  }

  /** Put these rows where those before them were, or belong. */
  patch(rows, before, gone) {
    const old = new Set(before.filter(Boolean));
    const lost = new Set(gone);
    if (rows.length + gone.length > 200) {
      const changed = new Map(rows.map((row) => [row[0], row]));
      this.sorted = this.sorted.filter((row) => !lost.has(row[0]) && !changed.has(row[0])).concat(rows);
      this.sorted.sort((a, b) => this.compare(a, b));
    } else {
      if (old.size || lost.size) this.sorted = this.sorted.filter((row) => !old.has(row) && !lost.has(row[0]));
      for (const row of rows) this.sorted.splice(this.place(row), 0, row);
    }
    this.filter();
  }

  place(row) {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(this.sorted[middle], row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  filter() {
    const words = this.search.toLowerCase().split(/\s+/).filter(Boolean);
    const { status, kind } = this;
    const fits = status === null ? (row) => !kind.ended.has(kind.status(row)) : (row) => !status || kind.status(row) === status;
    this.shown = this.sorted.filter((row) => fits(row) && words.every((word) => this.haystack(row).includes(word)));
  }
}

/** The table in the page. `host` says what is selected and is told what the user does. */
class Grid {
  constructor(store, host) {
    this.store = store;
    this.host = host;
    this.slots = [];
    this.active = null;
    this.anchor = null;
    this.header = h("div", { class: "rl-header", role: "row", "aria-rowindex": "1" });
    this.canvas = h("div", { class: "rl-canvas", role: "rowgroup" });
    this.element = h(
      "div",
      { class: "rl-grid", role: "grid", tabindex: "0", "aria-multiselectable": "true" },
      h("div", { class: "rl-headgroup", role: "rowgroup" }, this.header),
      this.canvas,
    );
    this.element.addEventListener("scroll", () => this.paint(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("contextmenu", (event) => this.context(event));
    roving(this.header, ".rl-sort");
    this.id = `rl${Math.random().toString(36).slice(2)}`;
  }

  /** Show another kind, or the same with other columns. */
  show(kind, arrangement, widths) {
    this.kind = kind;
    this.arrangement = arrangement;
    this.widths = widths;
    this.element.setAttribute("aria-label", kind.title);
    this.layout();
  }

  layout() {
    if (!this.kind) return;
    const room = this.element.clientWidth || 900;
    const width = (column) => this.widths[column.key] || column.width;
    let columns = this.kind.columns.filter((column) => column.label);
    const total = () => columns.reduce((sum, column) => sum + width(column), CHECK_WIDTH + MORE_WIDTH);
    while (total() > room && columns.some((column) => column.rank)) {
      const last = columns.reduce((a, b) => (b.rank > a.rank ? b : a));
      columns = columns.filter((column) => column !== last);
    }
    this.columns = columns;
    const tracks = columns.map((column) =>
      column.key === "name" ? `minmax(${Math.min(width(column), 120)}px, ${width(column)}fr)` : `minmax(60px, ${width(column)}px)`,
    );
    this.element.style.setProperty("--rl-tracks", [`${CHECK_WIDTH}px`, ...tracks, `${MORE_WIDTH}px`].join(" "));
    setAttribute(this.element, "aria-colcount", columns.length + 2);
    this.fillHeader();
    for (const slot of this.slots) slot.element.remove();
    this.slots = [];
    this.refresh();
  }

  fillHeader() {
    this.all = h("input", { type: "checkbox", "aria-label": "Select all that are shown", onchange: () => this.host.selectAll(this.all.checked) });
    const [key, direction] = this.arrangement.sort;
    const heads = this.columns.map((column, at) => {
      const sorted = column.key === key;
      const order = !sorted ? "none" : direction > 0 ? "ascending" : "descending";
      const sort = h(
        "button",
        { type: "button", class: "rl-sort", tabindex: at ? "-1" : "0", onclick: () => this.host.sortBy(column.key),
          title: `Sort by ${column.label.toLowerCase()}. Shift with left or right changes the width.`,
          onkeydown: (event) => this.widen(event, column) },
        words(column.label),
        sorted && icon(direction > 0 ? "up" : "down"),
      );
      const handle = h("div", { class: "rl-resize", "aria-hidden": "true", onpointerdown: (event) => this.resize(event, column) });
      return h("div", { class: "rl-head", role: "columnheader", "aria-sort": order }, sort, handle);
    });
    const first = h("div", { class: "rl-head rl-check", role: "columnheader" }, this.all);
    const last = h("div", { class: "rl-head", role: "columnheader" }, h("span", { class: "rl-hidden" }, "Actions"));
    this.header.replaceChildren(first, ...heads, last);
  }

  resize(event, column) {
    event.preventDefault();
    const start = event.clientX;
    const before = event.target.parentElement.offsetWidth;
    const move = (moved) => this.setWidth(column, before + moved.clientX - start);
    const end = () => {
      window.removeEventListener("pointermove", move);
      this.host.keepWidths(this.widths);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end, { once: true });
  }

  widen(event, column) {
    if (!event.shiftKey || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    this.setWidth(column, (this.widths[column.key] || column.width) + (event.key === "ArrowRight" ? 20 : -20));
    this.host.keepWidths(this.widths);
    this.header.querySelectorAll(".rl-sort")[this.columns.indexOf(column)]?.focus();
  }

  setWidth(column, width) {
    this.widths = { ...this.widths, [column.key]: Math.max(60, Math.min(width, 800)) };
    this.layout();
  }

  /** The rows, or which are shown, are different. */
  refresh() {
    const count = this.arrangement.shown.length;
    setAttribute(this.element, "aria-rowcount", count + 1);
    this.canvas.style.height = `${count * ROW}px`;
    this.host.needs((count + 1) * ROW + 4);
    for (const slot of this.slots) slot.index = -1;
    this.paint();
  }

  /**
   * Fill the rows that can be seen. One keeps its element for as long as it is in sight: the rows above may come and go
   * while somebody presses, and what is pressed on one row never ends on another.
   */
  paint() {
    const { shown } = this.arrangement;
    const top = this.element.scrollTop;
    const room = (this.element.clientHeight || 400) - ROW;
    const first = Math.max(0, Math.floor(top / ROW) - SPARE);
    const last = Math.min(shown.length, Math.ceil((top + room) / ROW) + SPARE);
    const needed = Math.max(Math.ceil(room / ROW) + 2 * SPARE + 2, this.slots.length);
    while (this.slots.length < needed) this.slots.push(this.newSlot());
    const seen = new Set(shown.slice(first, last).map((row) => row[0]));
    const kept = new Map();
    const free = [];
    for (const slot of this.slots) {
      if (slot.row && seen.has(slot.row[0])) kept.set(slot.row[0], slot);
      else free.push(slot);
    }
    let below = null; // elements are in the order of the rows; one that is in its place is not moved, which would lose a click
    for (let index = last - 1; index >= first; index--) {
      const row = shown[index];
      const slot = kept.get(row[0]) ?? free.pop();
      if (slot.index !== index || slot.row !== row) this.fill(slot, index, row);
      if (!kept.has(row[0]) || !precedes(slot.element, below)) this.canvas.insertBefore(slot.element, below);
      below = slot.element;
    }
    for (const slot of free) slot.index = -1;
    for (const slot of this.slots) slot.element.hidden = slot.index < 0;
    this.markActive();
  }

  newSlot() {
    const check = h("input", { type: "checkbox", tabindex: "-1" });
    const more = h("button", { type: "button", class: "rl-more", tabindex: "-1", "aria-haspopup": "menu" }, icon("more"));
    const cells = this.columns.map((column) => h("div", { class: `rl-cell rl-form-${column.form} ${column.key === "name" || column.form === "status" ? "rl-rich" : ""}`, role: "gridcell" }));
    const element = h(
      "div",
      { class: "rl-row", role: "row", id: `${this.id}-${this.slots.length}` },
      h("div", { class: "rl-cell rl-check", role: "gridcell" }, check),
      ...cells,
      h("div", { class: "rl-cell rl-last", role: "gridcell" }, more),
    );
    this.canvas.append(element);
    return { element, check, more, cells, index: -1, row: null, keys: [] };
  }

  fill(slot, index, row) {
    const other = slot.row?.[0] !== row[0];
    slot.index = index;
    slot.row = row;
    const name = this.kind.label(row);
    slot.element.style.transform = `translateY(${index * ROW}px)`;
    setAttribute(slot.element, "aria-rowindex", index + 2);
    if (other) {
      slot.check.setAttribute("aria-label", `Select ${name}`);
      slot.more.setAttribute("aria-label", `Actions for ${name}`);
    }
    this.decorate(slot);
    this.columns.forEach((column, at) => this.fillCell(slot, at, column, row));
  }

  decorate(slot) {
    const { row, element } = slot;
    const selected = this.host.selected.has(row[0]);
    const key = `${this.kind.name}:${row[0]}`;
    const mark = this.store.marks.get(key);
    slot.check.checked = selected;
    setAttribute(element, "aria-selected", selected);
    element.classList.toggle("rl-open", this.host.openId === row[0]);
    element.classList.toggle("rl-busy", Boolean(mark?.doing));
    element.classList.toggle("rl-ended", this.kind.ended.has(this.kind.status(row)));
    const age = performance.now() - (this.store.flashes.get(key) ?? -FLASH_MS);
    const flashing = age < FLASH_MS;
    if (flashing) element.style.animationDelay = `${-Math.round(age)}ms`;
    element.classList.toggle("rl-flash", flashing);
  }

  fillCell(slot, at, column, row) {
    const cell = slot.cells[at];
    const value = row[column.at];
    if (column.form === "status" || column.key === "name") {
      this.fillRich(slot, at, cell, column, row, value);
      return;
    }
    const text = this.text(column, row, value);
    setText(cell, text);
    const exact = column.form === "time" ? value : column.form === "ending" ? value ?? row[this.kind.at.until] : null;
    const title = [exactTime(exact), exact && column.form === "time" ? "" : text].filter(Boolean).join(" · ");
    if (cell.title !== title) cell.title = title;
  }

  fillRich(slot, at, cell, column, row, value) {
    const mark = this.store.marks.get(`${this.kind.name}:${row[0]}`);
    const current = this.store.current === row[0];
    const ownStatus = column.form === "status";
    const noted = ownStatus || this.kind.status(row) === "" ? mark : undefined;
    const key = [value, row[0], current, noted?.doing, noted?.error, row[this.kind.at.reason]].join("\u0000");
    if (slot.keys[at] === key) return;
    slot.keys[at] = key;
    if (ownStatus) cell.replaceChildren(...statusContent(value, noted, row[this.kind.at.reason]));
    else cell.replaceChildren(...nameContent(row, value, current, noted));
    cell.title = noted?.error || (ownStatus ? row[this.kind.at.reason] || "" : String(value || row[0]));
  }

  text(column, row, value) {
    const now = this.store.now();
    if (column.form === "time") return relative(column.key === "expires" ? value : past(value, now), now);
    if (column.form === "bytes") return bytes(value);
    if (column.form === "span") {
      const created = row[this.kind.at.created];
      if (value) return exactSpan(value - created);
      return created && !this.kind.settled.has(this.kind.status(row)) ? `${exactSpan(now - created)} so far` : "";
    }
    if (column.form === "ending") return this.end(row, value, now);
    if (column.form === "source") return this.store.sourceName(value);
    return value === null || value === undefined ? "" : String(value);
  }

  /** When it ends, or did, and why. */
  end(row, ended, now) {
    const { until, reason, with_kernel: withKernel } = this.kind.at;
    if (ended) return [relative(past(ended, now), now), row[reason]].filter(Boolean).join(": ");
    return row[withKernel] || (row[until] ? `in ${roughSpan(Math.max(0, row[until] - now))}` : "");
  }

  /** Times go on. */
  tick() {
    const timed = this.columns?.map((column, at) => [column, at]).filter(([column]) => ["time", "ending", "span"].includes(column.form));
    for (const slot of this.slots) {
      if (slot.index < 0) continue;
      for (const [column, at] of timed) setText(slot.cells[at], this.text(column, slot.row, slot.row[column.at]));
    }
  }

  /** Marks, selection or the current devbox changed: the same rows look different. */
  redecorate() {
    for (const slot of this.slots) {
      if (slot.index < 0) continue;
      this.decorate(slot);
      this.columns.forEach((column, at) => this.fillCell(slot, at, column, slot.row));
    }
    const { shown } = this.arrangement;
    const chosen = shown.length > 0 && this.host.selected.size > 0;
    this.all.checked = chosen && shown.every((row) => this.host.selected.has(row[0]));
    this.all.indeterminate = chosen && !this.all.checked;
  }

  // Keyboard and mouse

  get activeIndex() {
    return this.active === null ? -1 : this.arrangement.shown.findIndex((row) => row[0] === this.active);
  }

  markActive() {
    let found = null;
    for (const slot of this.slots) {
      const active = slot.index >= 0 && slot.row[0] === this.active;
      slot.element.classList.toggle("rl-active", active);
      if (active) found = slot.element.id;
    }
    setAttribute(this.element, "aria-activedescendant", found);
  }

  moveTo(index, { extend = false } = {}) {
    const { shown } = this.arrangement;
    if (!shown.length) return;
    const to = Math.max(0, Math.min(index, shown.length - 1));
    if (extend) this.selectRange(this.anchor ?? Math.max(this.activeIndex, 0), to);
    else this.anchor = to;
    this.active = shown[to][0];
    const top = to * ROW;
    const room = this.element.clientHeight - ROW;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + ROW > this.element.scrollTop + room) this.element.scrollTop = top + ROW - room;
    this.paint();
    this.host.moved(shown[to]);
  }

  selectRange(from, to) {
    this.anchor = from;
    const [low, high] = from < to ? [from, to] : [to, from];
    this.host.select(this.arrangement.shown.slice(low, high + 1).map((row) => row[0]));
  }

  key(event) {
    if (event.target !== this.element) return;
    const at = this.activeIndex;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 2);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: Infinity }[event.key];
    const row = this.arrangement.shown[at];
    if (to !== undefined) this.moveTo(to, { extend: event.shiftKey });
    else if (event.key === " " && row) this.host.toggle(row[0]);
    else if (event.key === "Enter" && row) this.host.openDetail(row);
    else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) this.host.selectAll(true);
    else if (event.key === "Delete" && row) this.host.remove(row);
    else if ((event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) && row) this.openMenu(row);
    else if (event.key === "/") this.host.focusSearch();
    else return;
    event.preventDefault();
  }

  slotOf(target) {
    const element = target.closest(".rl-row");
    return this.slots.find((slot) => slot.element === element && slot.index >= 0);
  }

  click(event) {
    const slot = this.slotOf(event.target);
    if (!slot) return;
    const { row, index } = slot;
    if (event.target.closest(".rl-more")) {
      this.active = row[0];
      this.markActive();
      this.host.menu(row, slot.more.getBoundingClientRect());
    } else if (event.target.closest(".rl-dismiss")) {
      this.host.dismiss(row[0]);
    } else if (event.shiftKey) {
      this.selectRange(this.anchor ?? index, index);
    } else if (event.target.closest(".rl-check") || event.ctrlKey || event.metaKey) {
      if (event.target === slot.check) slot.check.checked = !slot.check.checked;
      this.anchor = index;
      this.host.toggle(row[0]);
    } else {
      this.element.focus({ preventScroll: true });
      this.anchor = index;
      this.active = row[0];
      this.markActive();
      this.host.openDetail(row);
    }
  }

  context(event) {
    const slot = this.slotOf(event.target);
    if (!slot) return;
    event.preventDefault();
    event.stopPropagation();
    this.active = slot.row[0];
    this.markActive();
    this.host.menu(slot.row, { left: event.clientX, bottom: event.clientY, right: event.clientX });
  }

  openMenu(row) {
    const slot = this.slots.find((each) => each.index >= 0 && each.row === row);
    if (slot) this.host.menu(row, slot.more.getBoundingClientRect());
  }
}

function precedes(element, other) {
  return !other || Boolean(element.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);
}

function statusContent(status, mark, reason) {
  if (mark?.error) {
    const dismiss = h("button", { type: "button", class: "rl-dismiss", tabindex: "-1", title: "Dismiss this message", "aria-label": "Dismiss this message" }, icon("cross"));
    return [icon("warn", "bad"), h("span", { class: "rl-error-text" }, mark.error), dismiss];
  }
  if (mark?.doing) return [icon("spin", "info"), words(`${mark.doing}…`)];
  const { shape, tone, label } = statusLook(status);
  return [icon(shape, tone), h("span", { class: "rl-status" }, label), reason ? h("span", { class: "rl-reason" }, reason) : null].filter(Boolean);
}

function nameContent(row, name, current, mark) {
  const parts = [h("span", { class: name ? "rl-name" : "rl-name rl-unnamed" }, name || row[0])];
  if (current) parts.push(h("span", { class: "rl-badge", title: "The current devbox of this notebook" }, "current"));
  if (mark) parts.push(h("span", { class: "rl-note" }, ...statusContent("", mark)));
  return parts;
}
