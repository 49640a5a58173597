const MOST_LINES = 5000;
const MOST_CHARACTERS = 1000000;
const CHUNK = 250; // lines that come and go together ...
const CHUNK_CHARACTERS = 40000; // ... or characters, where a line never ends
const SGR = /\x1b\[([0-9;:]*)m/g;

// The style of text: colours as numbers below 16 or as [r, g, b], and what is on of bold, underline and the like.
class Style {
  constructor(from = {}) { Object.assign(this, { fg: null, bg: null, on: new Set(), ...from }); }

  copy() { return new Style({ fg: this.fg, bg: this.bg, on: new Set(this.on) }); }

  get plain() { return this.fg === null && this.bg === null && this.on.size === 0; }

  apply(parameters) {
    const codes = parameters.split(/[;:]/).map(Number);
    while (codes.length) this.take(codes.shift(), codes);
  }

  take(code, rest) {
    const names = { 1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "struck" };
    const ends = { 22: ["bold", "faint"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["struck"] };
    if (!code) { this.fg = this.bg = null; this.on.clear(); }
    else if (names[code]) this.on.add(names[code]);
    else if (ends[code]) ends[code].forEach((name) => this.on.delete(name));
    else if (code === 38 || code === 48) this[code === 38 ? "fg" : "bg"] = colour(rest);
    else if (code === 39) this.fg = null;
    else if (code === 49) this.bg = null;
    else if ((code >= 30 && code < 38) || (code >= 90 && code < 98)) this.fg = code >= 90 ? code - 82 : code - 30;
    else if ((code >= 40 && code < 48) || (code >= 100 && code < 108)) this.bg = code >= 100 ? code - 92 : code - 40;
  }

  node(text) {
    if (this.plain) return document.createTextNode(text);
    const span = make("span", { text });
    for (const name of this.on) span.classList.add(`rlc-${name}`);
    const [fg, bg] = this.on.has("inverse") ? [this.bg, this.fg] : [this.fg, this.bg];
    if (bg !== null) {
      span.style.background = spell(bg);
      span.style.color = fg !== null ? spell(fg) : isDark(rgb(bg)) ? "#fff" : "#000";
    } else if (fg !== null) span.style.color = typeof fg === "number" ? `var(--rlc-${fg})` : spell(fg);
    return span;
  }
}

// The colours where there is a background, in every theme; without one the theme's own are used, which can be read on it.
const PAINTS = ["000000", "c62828", "0b9e66", "d9d910", "1d67b8", "a932a9", "0e8fae", "e0e0e0", "666666", "e53935", "1fc98a",
  "f5f543", "3b8eea", "d670d6", "29b8db", "ffffff"];
const rgb = (colour) => (typeof colour === "number" ? PAINTS[colour].match(/../g).map((each) => parseInt(each, 16)) : colour);
const spell = (colour) => `rgb(${rgb(colour).join(" ")})`;

// The parameters after 38 or 48: `5;n` of 256 colours, or `2;r;g;b`.
function colour(rest) {
  const mode = rest.shift();
  if (mode === 2) {
    const [r = 0, g = 0, b = 0] = rest.splice(0, 3).map((each) => each & 255);
    return [r, g, b];
  }
  if (mode !== 5) return null;
  const number = rest.shift() & 255;
  if (number < 16) return number;
  if (number >= 232) return Array(3).fill(8 + 10 * (number - 232));
  const level = (each) => (each ? 55 + 40 * each : 0);
  const cube = number - 16;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

const length = (nodes) => nodes.reduce((sum, node) => sum + node.textContent.length, 0);

// What was printed, in chunks of lines; the oldest go when there are too many.
class Printed {
  constructor(label) {
    this.inner = make("div", { class: "rlc-inner" });
    this.node = make("div", { class: "rlc-screen", tabindex: "0", role: "log", "aria-live": "off", "aria-label": label,
      onscroll: () => { if (this.atEnd !== this.stuck) { this.stuck = this.atEnd; this.onstuck?.(this.stuck); } } }, this.inner);
    this.stuck = true;
    this.waiting = [];
    this.waitingLines = 0;
    this.clear();
  }

  get atEnd() { return this.node.scrollTop + this.node.clientHeight >= this.node.scrollHeight - 24; }

  clear() {
    this.waiting = [];
    this.chunk = null;
    this.lines = this.characters = 0;
    this.inner.replaceChildren();
  }

  // Drawn once a frame; a page in the background has no frames.
  add(pieces) {
    for (const piece of pieces) {
      this.waiting.push(piece);
      this.waitingLines += 1 + piece[1].length / 80;
    }
    if (document.hidden || this.waitingLines > MOST_LINES) this.draw();
    else this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    const pieces = this.waiting;
    this.waiting = [];
    this.waitingLines = 0;
    for (const [kind, text] of pieces) {
      if (kind === "stdout" || kind === "stderr") this.print(kind, text);
      else if (kind === "back") this.takeBack(Number(text));
      else this.tell(kind, text);
    }
    while ((this.lines > MOST_LINES || this.characters > MOST_CHARACTERS) && this.inner.childElementCount > 1) {
      const oldest = this.inner.firstElementChild;
      this.lines -= oldest.lines;
      this.characters -= oldest.characters;
      oldest.remove();
    }
    if (this.stuck) this.toEnd();
  }

  toEnd() { this.node.scrollTop = this.node.scrollHeight; }

  tell(kind, text) {
    const marks = { command: "$", input: "›", good: "✓", bad: "✗", quiet: "…" };
    const line = make("div", { class: `rlc-told rlc-${kind}` }, make("span", { class: "rlc-mark", text: marks[kind] ?? "" }),
      make("span", { text }));
    this.count(line, 1 + text.split("\n").length, text.length);
    this.inner.append(line);
    this.chunk = null;
  }

  count(node, lines, characters) {
    node.lines = (node.lines ?? 0) + lines;
    node.characters = (node.characters ?? 0) + characters;
    this.lines += lines;
    this.characters += characters;
  }

  print(kind, text) {
    if (this.chunk?.kind !== kind) this.open(kind);
    for (let start = 0; start < text.length;) {
      const { lines, characters } = this.chunk.node;
      if (lines >= CHUNK || characters >= CHUNK_CHARACTERS) this.open(kind);
      const last = start + CHUNK_CHARACTERS;
      let end = start;
      for (let line = this.chunk.node.lines; line < CHUNK && end < Math.min(text.length, last); line++) {
        end = text.indexOf("\n", end) + 1 || text.length;
      }
      end = Math.min(end, last);
      this.append(text.slice(start, end));
      start = end;
    }
  }

  // Takes back so many ends of line, and all that follows the one before them.
  takeBack(lines) {
    this.chunk = null;
    for (let node = this.inner.lastElementChild; node?.classList.contains("rlc-text"); node = this.inner.lastElementChild) {
      const parts = node.textContent.split("\n");
      const left = parts.length - 1 - lines; // ends of line that stay here
      this.count(node, left > 0 ? -lines : 1 - parts.length, 0);
      if (left > 0) return this.shorten(node, parts.slice(0, left).join("\n").length + 1);
      this.count(node, 0, -node.characters);
      node.remove();
      lines = -left;
    }
  }

  // Leaves the first characters of a text that was printed.
  shorten(node, characters) {
    let excess = node.textContent.length - characters;
    this.count(node, 0, -excess);
    while (excess > 0) {
      const last = node.lastChild;
      const kept = last.textContent.slice(0, -excess);
      excess -= last.textContent.length - kept.length;
      if (kept) last.textContent = kept;
      else last.remove();
    }
    const kind = node.classList.contains("rlc-stderr") ? "stderr" : "stdout";
    this.chunk = { node, kind, style: new Style(), line: [], began: new Style() };
  }

  open(kind) {
    const style = this.chunk?.kind === kind ? this.chunk.style : new Style();
    const node = make("div", { class: `rlc-text rlc-${kind}` });
    // `line`: the nodes of the last line, which a carriage return writes over, and how it began.
    this.chunk = { node, kind, style, line: [], began: style.copy() };
    this.count(node, 0, 0);
    this.inner.append(node);
  }

  append(text) {
    const { node } = this.chunk;
    const parts = text.split("\r");
    parts.forEach((part, index) => {
      if (index) {
        this.count(node, 0, -length(this.chunk.line));
        this.chunk.line.forEach((each) => each.remove());
        this.chunk.line = [];
        this.chunk.style = this.chunk.began.copy();
      }
      const cut = part.lastIndexOf("\n") + 1;
      if (cut) {
        const ended = this.styled(part.slice(0, cut));
        node.append(...ended);
        this.count(node, part.split("\n").length - 1, length(ended));
        this.chunk.line = [];
        this.chunk.began = this.chunk.style.copy();
      }
      const rest = this.styled(part.slice(cut));
      node.append(...rest);
      this.chunk.line.push(...rest);
      this.count(node, 0, length(rest));
    });
  }

  styled(text) {
    const nodes = [];
    let last = 0;
    for (const found of text.matchAll(SGR)) {
      if (found.index > last) nodes.push(this.chunk.style.node(text.slice(last, found.index)));
      this.chunk.style.apply(found[1]);
      last = found.index + found[0].length;
    }
    if (last < text.length) nodes.push(this.chunk.style.node(text.slice(last)));
    return nodes;
  }

  get text() {
    const spell = (each) => (each.classList.contains("rlc-told") ? [...each.children].map((part) => part.textContent).join(" ") : each.textContent);
    return [...this.inner.children].map((each) => spell(each).replace(/\n$/, "")).join("\n");
  }
}

const spellSeconds = (seconds) => (seconds < 60 ? `${Math.floor(seconds)} s`
  : seconds < 3600 ? `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`
    : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`);

function render({ model, el }) {
  const { root, bar } = frame(el, "console", model);
  const printed = new Printed(`Output. ${model.get("heading")}`);
  const status = make("span", { class: "rlc-status", role: "status" });
  const clock = make("span", { class: "rlc-clock", "aria-hidden": "true" });
  const stop = button("stop", "Stop (Ctrl+C)", () => halt(), { text: true });
  stop.lastChild.textContent = "Stop";
  const end = button("down", "To the end", () => { printed.toEnd(); line.focus(); }, { text: true, class: "rlt-button rlc-end", hidden: true });
  const line = make("textarea", { class: "rlc-line", rows: "1", spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
  const mark = make("span", { class: "rlc-prompt", text: "$", "aria-hidden": "true" });
  const empty = make("p", { class: "rlt-empty", text: "Type a command below: make test, ls -la, pip install pandas …" });
  let history = [];
  let at = 0; // in the history; its length is the line that is being typed
  let draft = "";
  let running = false;
  let stopping = false;
  let since = 0;
  let outcome = ""; // of the last command
  let wanted = false; // whether the keyboard is here: a page that is loaded again must not take it

  bar.append(make("span", { class: "rlt-title", text: model.get("heading") }), make("span", { class: "rlt-grow" }), status,
    clock, stop,
    button("download", "Save the whole output beside the notebook", () => talk.send("save")),
    copyButton("Copy what is shown", () => printed.text),
    button("clear", "Clear (Ctrl+L)", () => talk.send("clear")));
  const entry = make("form", { class: "rlc-entry", onsubmit: (event) => event.preventDefault() }, mark, line);

  const fit = () => {
    line.style.height = "auto";
    const needed = line.scrollHeight + line.offsetHeight - line.clientHeight;
    line.style.height = `${Math.min(needed, 160)}px`;
    line.style.overflowY = needed > 160 ? "auto" : "hidden";
  };
  const write = (text, cursor = text.length) => {
    line.value = text;
    fit();
    line.setSelectionRange(cursor, cursor);
  };
  const tick = () => {
    clock.textContent = running ? spellSeconds((performance.now() - since) / 1000) : "";
  };
  const become = (message) => {
    const ended = running && !message.running;
    ({ running, stopping = false } = message);
    since = performance.now() - (message.seconds ?? 0) * 1000;
    status.textContent = !running ? outcome : stopping ? "stopping …" : "running";
    status.classList.toggle("rlc-runs", running);
    stop.hidden = !running;
    const label = stopping ? "Give up: do not wait for its end" : "Stop (Ctrl+C)";
    stop.title = label;
    stop.setAttribute("aria-label", label);
    stop.lastChild.textContent = stopping ? "Give up" : "Stop";
    const what = running ? "Input for the command" : "Command";
    line.placeholder = running ? "Its input: Enter sends, Ctrl+D ends it, Ctrl+C stops the command" : "Enter runs, Shift+Enter for more lines, ↑ for earlier commands";
    line.setAttribute("aria-label", `${what}. ${line.placeholder}`);
    mark.textContent = running ? "›" : "$";
    tick();
    if (ended && wanted && root.contains(document.activeElement)) line.focus();
  };
  const show = (pieces) => {
    empty.hidden ||= pieces.length > 0;
    printed.add(pieces);
    for (const [kind, text] of pieces) {
      if (kind === "good" || kind === "bad") outcome = text;
      if (kind === "command") remember(text);
    }
  };
  const remember = (text) => {
    history = [...history.filter((each) => each !== text), text];
    at = history.length;
  };

  const talk = connect(model, el, {
    snapshot(message) {
      printed.clear();
      empty.hidden = message.pieces.length > 0;
      show(message.pieces);
      history = message.history;
      at = history.length;
      become(message);
    },
    pieces(message) { show(message.pieces); },
    state: become,
    clear() {
      printed.clear();
      empty.hidden = false;
    },
    cut() {
      become({ running: false });
      line.disabled = true;
    },
  });

  const halt = () => {
    talk.send("stop");
    line.focus();
  };
  const enter = () => {
    const text = line.value;
    if (running) talk.send("input", { text });
    else if (text.trim()) talk.send("run", { command: text });
    else return;
    at = history.length;
    draft = "";
    write("");
    printed.stuck = true;
    printed.toEnd();
  };
  const recall = (step) => {
    const next = Math.max(0, Math.min(history.length, at + step));
    if (next === at) return;
    if (at === history.length) draft = line.value;
    at = next;
    write(at === history.length ? draft : history[at]);
  };
  const control = { c: () => running && line.selectionStart === line.selectionEnd && (halt(), true),
    d: () => running && !line.value && (talk.send("end_input"), true),
    l: () => (talk.send("clear"), true) };
  line.addEventListener("input", fit);
  line.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const first = !line.value.slice(0, line.selectionStart).includes("\n");
    const last = !line.value.slice(line.selectionEnd).includes("\n");
    let done = false;
    if (event.ctrlKey && !event.shiftKey && !event.altKey && !event.metaKey) done = control[event.key.toLowerCase()]?.() === true;
    else if (event.key === "Enter") {
      if (!event.shiftKey) enter();
      else write(`${line.value.slice(0, line.selectionStart)}\n${line.value.slice(line.selectionEnd)}`, line.selectionStart + 1);
      done = true; // also then: JupyterLab, for which Shift+Enter is a shortcut, keeps the page from typing it
    }
    else if (event.key === "ArrowUp" && first && !running) { recall(-1); done = true; }
    else if (event.key === "ArrowDown" && last && !running) { recall(1); done = true; }
    else if (event.key === "PageUp") { printed.node.scrollBy(0, -printed.node.clientHeight * 0.9); done = true; }
    else if (event.key === "PageDown") { printed.node.scrollBy(0, printed.node.clientHeight * 0.9); done = true; }
    if (done) event.preventDefault();
  });
  printed.node.addEventListener("keydown", (event) => {
    if (event.ctrlKey && event.key === "c" && running && document.getSelection().isCollapsed) { halt(); event.preventDefault(); }
  });
  printed.onstuck = (stuck) => { end.hidden = stuck; };
  root.addEventListener("focusin", () => { wanted = true; });

  const darken = () => root.classList.toggle("rlc-dark", isDark(background(printed.node)));
  const forgetTheme = onTheme(darken);
  const sizes = new ResizeObserver(() => { if (printed.stuck) printed.toEnd(); });
  sizes.observe(printed.node);
  const timer = setInterval(tick, 1000);
  root.append(...talk.notices, make("div", { class: "rlc-body" }, printed.node, empty, end), entry);
  become({ running: false });
  darken();
  talk.greet();

  return () => {
    clearInterval(timer);
    sizes.disconnect();
    forgetTheme();
    talk.close();
  };
}

export default { render };
