// What the tools share. Text from a devbox only ever becomes textContent.

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  stop: "M3.5 3.5h9v9h-9z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  copy: "M5 1h8a1 1 0 0 1 1 1v9h-1.5V2.5H5zM3 4h7a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zm.5 1.5v8h6v-8z",
  download: "M7.25 1h1.5v7.2l2.5-2.5 1.05 1.05L8 11 3.7 6.75 4.75 5.7l2.5 2.5zM2 12.5h12V14H2z",
  upload: "M7.25 11h1.5V3.8l2.5 2.5 1.05-1.05L8 1 3.7 5.25 4.75 6.3l2.5-2.5zM2 12.5h12V14H2z",
  tick: "M6.4 12.6 2 8.2l1.2-1.2 3.2 3.2 6.4-6.8L14 4.6z",
  again: "M8 2a6 6 0 1 0 6 6h-1.6A4.4 4.4 0 1 1 8 3.6c1.2 0 2.3.5 3.1 1.3L9 7h5V2l-1.8 1.8A6 6 0 0 0 8 2z",
  close: "M4.1 3 8 6.9 11.9 3 13 4.1 9.1 8l3.9 3.9-1.1 1.1L8 9.1 4.1 13 3 11.9 6.9 8 3 4.1z",
  folder: "M1.5 3h4.6l1.5 1.6h6.9a.5.5 0 0 1 .5.5v7.9a.5.5 0 0 1-.5.5h-13a.5.5 0 0 1-.5-.5v-9.5a.5.5 0 0 1 .5-.5z",
  newfolder: "M1.5 3h4.6l1.5 1.6h6.9a.5.5 0 0 1 .5.5v7.9a.5.5 0 0 1-.5.5h-13a.5.5 0 0 1-.5-.5v-9.5a.5.5 0 0 1 .5-.5zM7.3 6.5v1.8H5.5v1.3h1.8v1.8h1.4V9.6h1.8V8.3H8.7V6.5z",
  file: "M3.5 1h6L13 4.5V14.5a.5.5 0 0 1-.5.5h-9a.5.5 0 0 1-.5-.5v-13a.5.5 0 0 1 .5-.5zM4.5 2.5v11h7V5.5H8.5v-3z",
  link: "M6.5 10.6 5.4 9.5l4.1-4.1 1.1 1.1zM3.3 12.7a3 3 0 0 1 0-4.2l1.6-1.6L6 8 4.4 9.6a1.4 1.4 0 0 0 2 2L8 10l1.1 1.1-1.6 1.6a3 3 0 0 1-4.2 0zM12.7 3.3a3 3 0 0 1 0 4.2l-1.6 1.6L10 8l1.6-1.6a1.4 1.4 0 0 0-2-2L8 6 6.9 4.9l1.6-1.6a3 3 0 0 1 4.2 0z",
  up: "M8 2.5 13 7.6l-1.1 1.1-3.1-3.2V13.5H7.2V5.5L4.1 8.7 3 7.6z",
  edit: "M11.3 1.6a1 1 0 0 1 1.4 0l1.7 1.7a1 1 0 0 1 0 1.4L5.6 13.5 1.5 14.5l1-4.1zM3.9 11.1l-.4 1.4 1.4-.4L12.6 4.4l-1-1z",
  trash: "M6 1h4l.5 1H14v1.5H2V2h3.5zM3 5h10l-.7 9.1a1 1 0 0 1-1 .9H4.7a1 1 0 0 1-1-.9zM6 7v6h1.2V7zm2.8 0v6H10V7z",
  down: "M8 13.5 3 8.4l1.1-1.1 3.1 3.2V2.5h1.6v8l3.1-3.2L13 8.4z",
  clear: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM3 8a5 5 0 0 1 8-4L4 11a5 5 0 0 1-1-3zm5 5a5 5 0 0 1-3-1l7-7a5 5 0 0 1-4 8z",
  read: "M8 3.5c3.4 0 5.9 2.7 7 4.5-1.1 1.8-3.6 4.5-7 4.5S2.1 9.8 1 8c1.1-1.8 3.6-4.5 7-4.5zm0 1.8a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 0 0 0-5.4z",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("rlt-icon");
  const path = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  path.setAttribute("d", ICONS[name]);
  return svg;
}

// make("button", {class: "x", text: "y", title: "z", onclick: f}, child, ...)
function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter(Boolean));
  return node;
}

function button(name, label, onclick, { text = false, ...rest } = {}) {
  const made = make("button", { type: "button", class: text ? "rlt-button" : "rlt-button rlt-bare", title: label,
    "aria-label": label, onclick, ...rest }, icon(name));
  if (text) made.append(make("span", { text: label }));
  return made;
}

// One view's end of the conversation with Python. `handlers.snapshot` takes all there is.
function connect(model, el, handlers, hello = () => ({})) {
  const view = crypto.getRandomValues(new Uint32Array(2)).join("-");
  let seen = -1;
  let sent = 0;
  let inSight = true;
  const visible = () => inSight && document.visibilityState !== "hidden";
  const cut = () => kernelIsGone(model, el);
  const send = (op, content = {}, buffers = []) => { if (!cut()) model.send({ op, view, n: sent++, ...content }, undefined, buffers); };
  const greet = () => { seen = -1; send("hello", { visible: visible(), ...hello() }); };
  const receive = (message, buffers) => {
    if (message.view !== undefined && message.view !== view) return;
    if (message.at !== undefined) seen = Math.max(seen, message.at);
    if (message.seq !== undefined) {
      if (seen < 0) return; // the snapshot that comes holds it already
      if (message.seq > seen + 1) return greet(); // one was lost on the way
      seen = message.seq;
    }
    waiting.hidden = true;
    if (message.op === "problem") problem(message.text);
    else handlers[message.op]?.(message, buffers);
  };
  const waiting = make("div", { class: "rlt-note", role: "status", hidden: true,
    text: "Waiting for the kernel: this opens as soon as it answers." });
  const banner = make("div", { class: "rlt-problem", role: "alert", hidden: true });
  const problem = (text) => {
    banner.hidden = !text;
    banner.replaceChildren(make("span", { text }), button("close", "Dismiss", () => { banner.hidden = true; }));
  };
  const alive = () => send("alive", { visible: visible() });
  const sight = new IntersectionObserver(([entry]) => {
    if (entry.isIntersecting !== inSight) { inSight = entry.isIntersecting; alive(); }
  });
  const timer = setInterval(alive, 30000);
  const look = setInterval(() => {
    if (!cut()) return;
    clearInterval(look);
    waiting.textContent = "The kernel was restarted or has ended. Run this cell again.";
    waiting.hidden = false;
    handlers.cut?.();
  }, 1000);
  const patience = setTimeout(() => { waiting.hidden = seen >= 0; }, 2000);
  model.on("msg:custom", receive);
  document.addEventListener("visibilitychange", alive);
  sight.observe(el);
  const close = () => {
    clearInterval(timer);
    clearInterval(look);
    clearTimeout(patience);
    sight.disconnect();
    model.off("msg:custom", receive);
    document.removeEventListener("visibilitychange", alive);
    send("bye");
  };
  return { send, greet, close, problem, notices: [waiting, banner] };
}

// The frame of a tool: a bar, what has to be said, and its body. Keys pressed inside are not the notebook's: JupyterLab
// looks for the attribute from the focused element upwards, and for a shortcut's selector at each step before the next.
function frame(el, kind, model) {
  const bar = make("div", { class: "rlt-bar", role: "toolbar", "aria-label": model.get("heading") });
  const root = make("section", { class: `rlt-tool rlt-${kind}`, "aria-label": model.get("heading"),
    onfocusin: (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true") }, bar);
  el.append(root);
  return { root, bar };
}

function background(element) {
  return (getComputedStyle(element).backgroundColor.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
}

function isDark([r, g, b]) {
  return 0.299 * r + 0.587 * g + 0.114 * b < 128;
}

function onTheme(changed) {
  const theme = new MutationObserver(() => setTimeout(changed, 50));
  theme.observe(document.body, { attributes: true, attributeFilter: ["class", "data-jp-theme-name", "data-jp-theme-light"] });
  return () => theme.disconnect();
}

// Copies what `text()` gives, and shows for a moment that it did.
function copyButton(label, text) {
  const made = button("copy", label, async () => {
    await copyText(text());
    made.replaceChildren(icon("tick"), make("span", { role: "status", text: "Copied" }));
    setTimeout(() => made.replaceChildren(icon("copy")), 1500);
  });
  return made;
}

function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  const anchor = make("a", { href: url, download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

function spellSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["KB", 1e3]]) {
    if (bytes >= size * 0.9995) return `${(bytes / size).toFixed(bytes < size * 9.995 ? 1 : 0)} ${unit}`;
  }
  return `${bytes} B`;
}

// Rows of one height, of which only those in sight are in the page.
class VirtualList {
  constructor({ row, height, label, onactive, role = "listbox" }) {
    this.row = row;
    this.height = height;
    this.count = 0;
    this.active = -1;
    this.onactive = onactive;
    this.rows = make("div", { class: "rlt-rows" });
    this.space = make("div", { class: "rlt-space" }, this.rows);
    this.node = make("div", { class: "rlt-list", tabindex: "0", role, "aria-label": label,
      onscroll: () => this.draw(), onkeydown: (event) => this.key(event) }, this.space);
    this.id = `rlt-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.node);
  }

  set(count) {
    this.count = count;
    this.active = Math.min(this.active, count - 1);
    this.space.style.height = `${count * this.height}px`;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.node.scrollTop / this.height) - 5);
    const last = Math.min(this.count, Math.ceil((this.node.scrollTop + this.node.clientHeight) / this.height) + 5);
    this.rows.style.transform = `translateY(${first * this.height}px)`;
    const made = [];
    for (let index = first; index < last; index++) {
      const node = this.row(index);
      node.classList.add("rlt-row");
      node.id = `${this.id}-${index}`;
      node.setAttribute("role", "option");
      node.setAttribute("aria-posinset", index + 1);
      node.setAttribute("aria-setsize", this.count);
      node.setAttribute("aria-selected", index === this.active);
      made.push(node);
    }
    this.rows.replaceChildren(...made);
    if (this.active >= first && this.active < last) this.node.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else this.node.removeAttribute("aria-activedescendant");
  }

  get atEnd() {
    return this.node.scrollTop + this.node.clientHeight >= this.count * this.height - this.height;
  }

  toEnd() {
    this.node.scrollTop = this.count * this.height;
    this.draw();
  }

  select(index, event) {
    if (!this.count) return;
    this.active = Math.max(0, Math.min(this.count - 1, index));
    const top = this.active * this.height;
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    const bottom = top + this.height - this.node.clientHeight;
    if (bottom > this.node.scrollTop) this.node.scrollTop = bottom;
    this.onactive?.(this.active, event);
    this.draw();
  }

  key(event) {
    if (event.target !== this.node || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.height) - 1);
    const to = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page,
      PageUp: this.active - page, Home: 0, End: this.count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.select(to, event);
  }

  close() {
    this.resize.disconnect();
  }
}

