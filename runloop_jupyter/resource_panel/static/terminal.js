const DARK = { black: "#2e3436", red: "#ef5350", green: "#66bb6a", yellow: "#ffca28", blue: "#64b5f6", magenta: "#ce93d8",
  cyan: "#4dd0e1", white: "#d3d7cf", brightBlack: "#8a8f8c", brightRed: "#ff8a80", brightGreen: "#b9f6ca",
  brightYellow: "#ffe57f", brightBlue: "#90caf9", brightMagenta: "#ea80fc", brightCyan: "#84ffff", brightWhite: "#ffffff" };
const LIGHT = { black: "#212121", red: "#c62828", green: "#2e7d32", yellow: "#8d6e00", blue: "#1565c0", magenta: "#8e24aa",
  cyan: "#00838f", white: "#616161", brightBlack: "#757575", brightRed: "#d32f2f", brightGreen: "#388e3c",
  brightYellow: "#a67c00", brightBlue: "#1976d2", brightMagenta: "#ab47bc", brightCyan: "#0097a7", brightWhite: "#424242" };

// xterm.js comes through the kernel, once for all terminals of a page.
function library(ask) {
  const page = globalThis;
  page.__runloopXterm ??= new Promise((resolve) => { page.__runloopXtermCame = resolve; }).then(async (files) => {
    const load = (code) => import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const [xterm, fit] = await Promise.all([load(files.xterm), load(files.fit)]);
    return { Terminal: xterm.Terminal, FitAddon: fit.FitAddon, css: await new Blob([files.css]).text() };
  });
  if (!page.__runloopXtermIsHere) ask();
  return page.__runloopXterm;
}

function colours(element) {
  const { color, backgroundColor } = getComputedStyle(element);
  const dark = isDark(background(element));
  return { ...(dark ? DARK : LIGHT), background: backgroundColor, foreground: color, cursor: color, cursorAccent: backgroundColor,
    selectionBackground: dark ? "#64b5f666" : "#1976d244" };
}

const STATES = {
  connecting: ["spin", "Connecting …"], attached: ["good", "Connected"], detached: ["quiet", "Detached"],
  ended: ["quiet", "The shell has ended"], lost: ["bad", "Not connected"],
};

function render({ model, el }) {
  const { root, bar } = frame(el, "terminal", model);
  const status = make("span", { class: "rlt-status", role: "status" });
  const screen = make("div", { class: "rlt-screen" });
  const again = button("again", "New shell", () => reopen(), { text: true });
  const over = make("div", { class: "rlt-over", hidden: true }, make("span"), again);
  let terminal = null;
  let fit = null;
  let state = "connecting";
  let early = [];
  let closed = false;
  let replaying = 0;

  const reader = button("read", "Screen reader mode", () => {
    const on = reader.getAttribute("aria-pressed") !== "true";
    reader.setAttribute("aria-pressed", on);
    if (terminal) terminal.options.screenReaderMode = on;
  }, { "aria-pressed": "false" });
  bar.append(make("span", { class: "rlt-title", text: model.get("heading") }), make("span", { class: "rlt-grow" }), status, reader);

  const size = () => (terminal ? { cols: terminal.cols, rows: terminal.rows } : {});
  const show = (data, offset) => {
    if (!terminal) { early.push([data, offset]); return; }
    terminal.write(data, () => talk.send("took", { offset }));
  };
  const become = (next, found) => {
    state = next;
    const [kind, text] = STATES[next] ?? STATES.lost;
    status.replaceChildren(make("span", { class: kind === "spin" ? "rlt-spin" : `rlt-dot rlt-${kind}` }), make("span", { text: found ? "Connected; this shell ran on" : text }));
    over.hidden = !["ended", "lost", "detached"].includes(next);
    over.firstChild.textContent = next === "ended" ? "The shell has ended." : next === "lost" ? "Not connected." : "Detached; the shell runs on.";
    const offer = next === "ended" ? "New shell" : "Connect again";
    again.lastChild.textContent = again.title = offer;
    again.setAttribute("aria-label", offer);
    if (terminal) terminal.options.disableStdin = next !== "attached";
  };
  const reopen = () => { terminal?.focus(); talk.send("open", size()); };

  // Programs ask the terminal what it can do. What is shown again asks again, but whoever asked has gone on: an answer
  // now would be typed into the shell. And where there are two views, one answers.
  const replay = () => { replaying = performance.now() + 1000; };
  for (const kind of ["keydown", "paste", "compositionstart", "beforeinput"]) {
    screen.addEventListener(kind, () => { replaying = 0; }, { capture: true });
  }
  const answers = () => performance.now() > replaying && screen.contains(document.activeElement);

  const talk = connect(model, el, {
    snapshot(message, [kept]) {
      replay();
      terminal?.reset();
      early = [];
      become(message.state);
      show(new Uint8Array(kept.buffer, kept.byteOffset, kept.byteLength), message.offset);
    },
    data(message, [data]) { show(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), message.offset); },
    state(message) {
      if (message.found) replay();
      become(message.state, message.found);
    },
    reset() { early = []; terminal?.reset(); },
    cut() {
      become("lost");
      over.hidden = true; // who could connect again is gone
    },
    vendor(message, buffers) {
      globalThis.__runloopXtermIsHere = true;
      globalThis.__runloopXtermCame(Object.fromEntries(message.names.map((name, index) => [name, buffers[index]])));
    },
  }, size);
  root.append(...talk.notices, screen, over);
  become("connecting");

  const repaint = () => { if (terminal) terminal.options.theme = colours(screen); };
  const forgetTheme = onTheme(repaint);
  let later = 0;
  const resize = new ResizeObserver(() => {
    clearTimeout(later);
    later = setTimeout(() => { if (terminal && screen.clientHeight) fit.fit(); }, 40);
  });

  const type = (data) => { if (answers()) talk.send("input", {}, [data]); };
  const encoder = new TextEncoder();
  library(() => talk.send("vendor")).then(({ Terminal, FitAddon, css }) => {
    if (closed) return;
    root.append(make("style", { text: css }));
    const font = getComputedStyle(root);
    terminal = new Terminal({ allowProposedApi: true, cursorBlink: true, scrollback: 10000, theme: colours(screen),
      fontFamily: font.getPropertyValue("--jp-code-font-family").trim() || "ui-monospace, Menlo, Consolas, monospace",
      fontSize: parseInt(font.getPropertyValue("--jp-code-font-size"), 10) || 13, minimumContrastRatio: 4.5,
      macOptionIsMeta: true, disableStdin: state !== "attached" });
    fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(screen);
    terminal.textarea?.setAttribute("aria-label", `${model.get("heading")}. Shift+Escape leaves it.`);
    terminal.attachCustomKeyEventHandler((event) => {
      if (event.type !== "keydown") return true;
      if (event.key === "Escape" && event.shiftKey) { reader.focus(); return false; }
      if (event.key === "Enter" && state === "ended") { reopen(); return false; }
      if (event.ctrlKey && event.shiftKey && event.code === "KeyC") { copyText(terminal.getSelection()); event.preventDefault(); return false; }
      return true;
    });
    terminal.onData((text) => type(encoder.encode(text)));
    terminal.onBinary((text) => type(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    terminal.onResize(({ cols, rows }) => talk.send("size", { cols, rows }));
    resize.observe(screen);
    if (screen.clientHeight) fit.fit();
    if (early.length) replay();
    for (const [data, offset] of early) show(data, offset);
    early = [];
    terminal.focus();
  }).catch((error) => talk.problem(`The terminal could not be loaded: ${error.message}`));
  talk.greet();

  return () => {
    closed = true;
    clearTimeout(later);
    resize.disconnect();
    forgetTheme();
    talk.close();
    terminal?.dispose();
  };
}

export default { render };
