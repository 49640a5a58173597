const ROW = 20; // pixels
const STATES = { loading: "Loading …", live: "Live", waiting: "Not reachable, trying again", ended: "The devbox has ended" };
const pad = (number, digits = 2) => String(number).padStart(digits, "0");

function clockOf(ms) {
  const at = new Date(ms);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
}

// One line: [ms, source, kind, level, text].
const isError = ([, , kind, level, text]) => level === "error" || level === "fatal" || (kind === "exit" && !text.endsWith(" 0"));
const spell = ([ms, source, , , text]) => `${clockOf(ms)} ${source} ${text}`;

// The text in pieces, what was searched for marked.
function marked(text, wanted) {
  if (!wanted) return [document.createTextNode(text)];
  const nodes = [];
  const low = text.toLowerCase();
  let start = 0;
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, start)) {
    nodes.push(document.createTextNode(text.slice(start, at)), make("mark", { text: text.slice(at, at + wanted.length) }));
    start = at + wanted.length;
  }
  return [...nodes, document.createTextNode(text.slice(start))];
}

function render({ model, el }) {
  const { root, bar } = frame(el, "logs", model);
  let most = 20000;
  let all = []; // every line that is here
  let held = []; // those that came while paused
  let shown = []; // indices into `all` of the rows of the list
  let hits = []; // rows of the list that have what is searched for
  let wanted = "";
  let paused = false;

  const status = make("span", { class: "rll-status", role: "status" });
  const search = make("input", { type: "search", class: "rll-search", placeholder: "Search", "aria-label": "Search: Enter goes to the next, Shift+Enter to the one before" });
  const count = make("span", { class: "rll-count", "aria-live": "polite" });
  const filter = make("select", { "aria-label": "Show", onchange: () => refill() });
  const only = toggle("Only lines with it", "Only", () => refill());
  const pause = button("pause", "Pause", () => setPaused(!paused), { text: true, "aria-pressed": "false" });
  const end = button("down", "To the end", () => toEnd(), { text: true, class: "rlt-button rll-end", hidden: true });
  const whole = make("div", { class: "rll-whole", hidden: true, tabindex: "0", role: "region", "aria-label": "The chosen line" });
  const empty = make("p", { class: "rlt-empty", text: STATES.loading });
  const told = make("div", { class: "rll-told", role: "status", hidden: true });

  function toggle(label, text, changed) {
    const made = make("button", { type: "button", class: "rlt-button", "aria-pressed": "false", title: label, "aria-label": label, text,
      onclick: () => { made.setAttribute("aria-pressed", made.getAttribute("aria-pressed") !== "true"); changed(); } });
    return made;
  }
  const isOnly = () => only.getAttribute("aria-pressed") === "true";

  const list = new VirtualList({ height: ROW, label: `Lines. ${model.get("heading")}`, onactive: (index) => open(index), row: (index) => {
    const line = all[shown[index]];
    const [ms, source, kind, level, text] = line;
    const bad = isError(line);
    const badge = kind === "command" || level === "info" ? "" : level;
    const node = make("div", { class: `rll-row rll-${kind}${bad ? " rll-bad" : ""}`, title: new Date(ms).toISOString(), onclick: () => list.select(index),
      "aria-label": `${clockOf(ms)}, ${source}${badge ? `, ${badge}` : ""}: ${text}` },
    make("span", { class: "rll-time", text: clockOf(ms) }), make("span", { class: "rll-source", text: source }),
    badge ? make("span", { class: "rll-badge", text: badge }) : null);
    node.append(make("span", { class: "rll-text" }));
    node.lastChild.append(...marked(text.replaceAll("\n", " ⏎ "), wanted));
    return node;
  } });
  list.node.addEventListener("scroll", () => { end.hidden = list.atEnd; });

  bar.append(make("span", { class: "rlt-title", text: model.get("heading") }), status, make("span", { class: "rlt-grow" }), search, count, only, filter, pause,
    button("again", "Look now", () => talk.send("look")),
    button("download", "Save all lines beside the notebook", () => talk.send("save")),
    copyButton("Copy the lines that are shown", () => shown.map((index) => spell(all[index])).join("\n")),
    button("clear", "Clear", () => talk.send("clear")));
  bar.classList.add("rll-bar");

  const passes = (line) => {
    const chosen = filter.value;
    if (chosen === "error" ? !isError(line) : chosen && line[1] !== chosen.slice(1)) return false;
    return !isOnly() || !wanted || line[4].toLowerCase().includes(wanted);
  };
  const sayCount = () => {
    const at = hits.indexOf(list.active);
    count.textContent = !wanted ? "" : !hits.length ? "none" : `${at >= 0 ? `${at + 1} of ` : ""}${hits.length}`;
  };
  // Who has chosen a line reads it; otherwise the list follows, where its end is in sight.
  const follows = () => list.atEnd && list.active < 0;
  // Lines at the end of `all` are new.
  const extend = (from) => {
    const following = follows();
    for (let index = from; index < all.length; index++) {
      if (!passes(all[index])) continue;
      shown.push(index);
      if (wanted && all[index][4].toLowerCase().includes(wanted)) hits.push(shown.length - 1);
    }
    list.set(shown.length);
    if (following) list.toEnd();
    end.hidden = list.atEnd;
    empty.hidden = shown.length > 0;
    sayCount();
  };
  const refill = () => {
    shown = [];
    hits = [];
    list.active = -1;
    whole.hidden = true;
    empty.textContent = all.length ? "No line is like this." : root.dataset.state === "loading" ? STATES.loading : "No lines yet: run a command on this devbox.";
    extend(0);
  };
  const offer = (rows) => {
    const known = new Set([...filter.options].map((option) => option.value));
    for (const [, source] of rows) {
      if (known.has(`:${source}`)) continue;
      known.add(`:${source}`);
      filter.append(make("option", { value: `:${source}`, text: source }));
    }
  };
  filter.append(make("option", { value: "", text: "All" }), make("option", { value: "error", text: "Errors" }));

  const add = (rows) => {
    if (!rows.length) return;
    offer(rows);
    const from = all.length;
    all = all.concat(rows);
    if (all.length <= most) return extend(from);
    const top = list.node.scrollTop - (all.length - most) * ROW;
    const following = follows();
    all = all.slice(-most);
    refill();
    if (following) list.toEnd();
    else list.node.scrollTop = Math.max(0, top);
  };
  const toEnd = () => {
    list.active = -1;
    whole.hidden = true;
    list.toEnd();
    end.hidden = true;
    sayCount();
  };
  const setPaused = (on) => {
    paused = on;
    pause.setAttribute("aria-pressed", on);
    const rows = held;
    held = [];
    if (!on) add(rows);
    sayPause();
  };
  const sayPause = () => {
    const label = !paused ? "Pause" : held.length ? `Go on · ${held.length} new` : "Go on";
    pause.replaceChildren(icon(paused ? "play" : "pause"), make("span", { text: label }));
    pause.title = label;
    pause.setAttribute("aria-label", label);
  };
  const open = (index) => {
    const line = all[shown[index]];
    whole.hidden = !line;
    if (line) whole.replaceChildren(...marked(line[4], wanted));
    sayCount();
  };
  const go = (step) => {
    if (!hits.length) return;
    const after = hits.findIndex((row) => row > list.active);
    const before = hits.findLastIndex((row) => row < list.active);
    list.select(step > 0 ? hits[after < 0 ? 0 : after] : hits[before < 0 ? hits.length - 1 : before]);
  };
  const become = (state) => {
    root.dataset.state = state;
    status.textContent = STATES[state] ?? state;
    if (!all.length && state !== "loading") refill();
  };

  search.addEventListener("input", () => {
    wanted = search.value.toLowerCase();
    refill();
    if (hits.length) list.select(hits[hits.length - 1]);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { go(event.shiftKey ? -1 : 1); event.preventDefault(); }
    if (event.key === "Escape" && search.value) { search.value = ""; search.dispatchEvent(new Event("input")); event.preventDefault(); }
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "F3" || (event.key.toLowerCase() === "g" && (event.ctrlKey || event.metaKey))) { go(event.shiftKey ? -1 : 1); event.preventDefault(); }
    if (event.key.toLowerCase() === "f" && (event.ctrlKey || event.metaKey)) { search.focus(); search.select(); event.preventDefault(); }
    if (event.target === list.node && event.key === "/") { search.focus(); event.preventDefault(); }
    if (event.target === list.node && event.key === " ") { setPaused(!paused); event.preventDefault(); }
  });

  let quiet = 0;
  const talk = connect(model, el, {
    snapshot(message) {
      most = message.most;
      all = [];
      held = [];
      setPaused(false);
      become(message.state);
      refill();
    },
    lines({ rows }) {
      if (!paused) return add(rows);
      held = held.concat(rows).slice(-most);
      sayPause();
    },
    state: (message) => become(message.state),
    clear() {
      all = [];
      held = [];
      refill();
      sayPause();
    },
    saved(message) {
      told.textContent = message.text;
      told.hidden = false;
      clearTimeout(quiet);
      quiet = setTimeout(() => { told.hidden = true; }, 8000);
    },
    cut: () => become("waiting"),
  });
  root.append(...talk.notices, make("div", { class: "rll-body" }, list.node, empty, end), whole, told);
  become("loading");
  refill();
  talk.greet();

  return () => {
    clearTimeout(quiet);
    list.close();
    talk.close();
  };
}

export default { render };
