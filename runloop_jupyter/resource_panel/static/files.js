const PIECE = 512 * 1024; // bytes
const AHEAD = 4; // pieces that may be on their way to the kernel
const ROW = 26; // pixels
const NAMES = { directory: "Folder", file: "File", symlink: "Link", other: "Special file" };
const COLUMNS = [["name", "Name"], ["size", "Size"], ["changed", "Changed"]];
const VALUES = { name: (entry) => entry[0], size: (entry) => (entry[1] === "file" ? entry[2] : -1), changed: (entry) => entry[3] };

const newKey = () => crypto.getRandomValues(new Uint32Array(2)).join("-");
const spellTime = (ms) => new Date(ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
const byName = new Intl.Collator([], { numeric: true }).compare;

// A question that is answered with no unless one says yes.
function ask(root, title, text, yes) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const no = make("button", { type: "button", class: "rlt-button", text: "Cancel", onclick: () => end(false) });
    const dialog = make("dialog", { class: "rlt-dialog", "aria-label": title, oncancel: () => end(false) },
      make("h2", { text: title }), make("p", { text }),
      make("div", { class: "rlt-dialog-end" }, no,
        make("button", { type: "button", class: "rlt-button rlt-danger", text: yes, onclick: () => end(true) })));
    const end = (answer) => {
      dialog.remove();
      before?.focus?.();
      resolve(answer);
    };
    root.append(dialog);
    dialog.showModal();
    no.focus();
  });
}

function render({ model, el }) {
  const { root, bar } = frame(el, "files", model);
  let path = "";
  let entries = []; // all that the folder has: [name, kind, size, changed, target]
  let shown = []; // those that are in the list, in order
  let more = 0;
  let order = { key: "name", down: false };
  let hidden = false;
  let wanted = ""; // the name that is to be the active one when the folder comes
  let transfers = [];
  let shownImage = "";
  const sending = new Map();

  const up = button("up", "Up: the folder above (Backspace)", () => go(".."));
  const place = make("input", { type: "text", class: "rlt-place", "aria-label": "Path", spellcheck: "false", autocomplete: "off" });
  const spinner = make("span", { class: "rlt-spin", hidden: true });
  const dots = button("read", "Show hidden files", () => {
    hidden = !hidden;
    dots.setAttribute("aria-pressed", hidden);
    show();
  }, { "aria-pressed": "false" });
  const picker = make("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to upload", onchange: () => {
    upload([...picker.files]);
    picker.value = "";
  } });
  const save = button("download", "Download beside the notebook", () => talk.send("download", { name: active()[0], key: newKey() }), { disabled: true });
  const bin = button("trash", "Delete… (Delete)", () => remove(), { disabled: true });
  bar.append(up, place, spinner, button("again", "Refresh", () => go(".")), dots, button("newfolder", "New folder", () => startFolder()),
    save, bin, button("upload", "Upload", () => picker.click(), { text: true }), picker);

  const list = new VirtualList({ row: makeRow, height: ROW, label: `${model.get("heading")}: the folder`, onactive: () => showActive() });
  const empty = make("div", { class: "rlt-empty", hidden: true });
  const heads = COLUMNS.map(([key, title]) => [key, make("button", { type: "button", class: `rlt-head rlt-${key}`, "aria-label": `Sort by ${title.toLowerCase()}`,
    onclick: () => {
      order = { key, down: order.key === key ? !order.down : key !== "name" };
      show();
    } }, make("span", { text: title }))]);
  const folder = make("div", { class: "rlt-newfolder", hidden: true });
  const folderName = make("input", { type: "text", "aria-label": "Name of the new folder", placeholder: "Name of the new folder" });
  folder.append(folderName, make("button", { type: "button", class: "rlt-button rlt-primary", text: "Make", onclick: () => makeFolder() }),
    make("button", { type: "button", class: "rlt-button", text: "Cancel", onclick: () => endFolder() }));
  const side = make("section", { class: "rlt-side", "aria-label": "Preview", hidden: true });
  const rest = make("div", { class: "rlt-rest", role: "status" });
  const moving = make("div", { class: "rlt-moving", role: "group", "aria-label": "Files on their way", hidden: true });
  const left = make("div", { class: "rlt-left" },
    make("div", { class: "rlt-heads", role: "group", "aria-label": "Sort" }, ...heads.map(([, head]) => head)), folder, make("div", { class: "rlt-folder" }, list.node, empty));

  const talk = connect(model, el, {
    snapshot(message) { take(message); },
    listing(message) { take(message); },
    preview: (message, buffers) => showPreview(message, buffers),
    busy({ on }) { spinner.hidden = !on; },
    told({ text }) { rest.textContent = text; },
    made({ name }) { wanted = name; endFolder(); },
    transfers(message) { moved(message); },
    cut() { spinner.hidden = true; },
    exists: ({ key, name }) => replace(key, name),
    begin: ({ key }) => send(key),
  });
  root.append(...talk.notices, make("div", { class: "rlt-body" }, left, side), moving, rest);

  const go = (to) => talk.send("go", { path: to });
  const active = () => shown[list.active];

  // The folder

  function take(message) {
    const same = message.path === path;
    const name = wanted || (same ? active()?.[0] : "");
    ({ path, entries, more } = message);
    wanted = "";
    if (message.transfers) moved(message);
    if (!same || document.activeElement !== place) place.value = path;
    up.disabled = path === "/";
    show(name);
    if (!same) list.node.scrollTop = 0;
  }

  function show(name = active()?.[0]) {
    const value = VALUES[order.key];
    const sign = order.down ? -1 : 1;
    const folders = (entry) => (entry[1] === "directory" ? 0 : 1);
    shown = entries.filter(([each]) => hidden || !each.startsWith(".")).sort((a, b) =>
      folders(a) - folders(b) || sign * (order.key === "name" ? byName(a[0], b[0]) : value(a) - value(b)) || byName(a[0], b[0]));
    for (const [key, head] of heads) {
      head.setAttribute("aria-pressed", order.key === key);
      head.querySelector("svg")?.remove();
      if (order.key === key) head.append(icon(order.down ? "down" : "up"));
    }
    const rests = entries.length - shown.length;
    empty.hidden = shown.length > 0 || !path;
    empty.textContent = rests ? `Only hidden files here (${rests}). The eye button shows them.` : "This folder is empty. Drop files here to upload them.";
    rest.textContent = [`${shown.length.toLocaleString()} ${shown.length === 1 ? "entry" : "entries"}`, rests && `${rests.toLocaleString()} hidden`,
      more && `${more.toLocaleString()} more are not shown`].filter(Boolean).join(" · ");
    list.active = shown.findIndex((entry) => entry[0] === name);
    list.set(shown.length);
    if (list.active >= 0) list.select(list.active);
    showActive();
  }

  function makeRow(index) {
    const [name, kind, size, changed, target] = shown[index];
    const spelled = kind === "file" ? spellSize(size) : "";
    const label = [name, NAMES[kind], target && `to ${target}`, spelled, spellTime(changed)].filter(Boolean).join(", ");
    return make("div", { class: `rlt-entry rlt-${kind}`, "aria-label": label, title: target ? `${name} → ${target}` : name, "data-index": index },
      icon(kind === "directory" ? "folder" : kind === "symlink" ? "link" : "file"),
      make("span", { class: "rlt-name" }, make("span", { text: name }), target && make("span", { class: "rlt-target", text: ` → ${target}` })),
      make("span", { class: "rlt-size", text: spelled }),
      make("span", { class: "rlt-changed", text: spellTime(changed) }));
  }

  function showActive() {
    const entry = active();
    if (!entry && [save, bin].includes(document.activeElement)) list.node.focus({ preventScroll: true });
    save.disabled = bin.disabled = !entry;
    bin.title = entry ? `Delete ${entry[0]}… (Delete)` : "Delete…";
  }

  async function remove() {
    const [name, kind] = active();
    const text = kind === "directory" ? `The folder ${path}/${name} goes with all that it has. It cannot be brought back.` : `${path}/${name} cannot be brought back.`;
    if (await ask(root, `Delete ${name}?`, text.replace("//", "/"), "Delete")) talk.send("remove", { name });
  }

  function startFolder() {
    folder.hidden = false;
    folderName.value = "";
    folderName.focus();
  }

  const makeFolder = () => talk.send("make", { name: folderName.value });

  function endFolder() {
    folder.hidden = true;
    list.node.focus();
  }

  const open = () => { if (active()) talk.send("open", { name: active()[0] }); };
  let typed = "";
  let typedAt = 0;
  const jump = (key) => {
    typed = (performance.now() - typedAt < 800 ? typed : "") + key.toLowerCase();
    typedAt = performance.now();
    const found = shown.findIndex(([name]) => name.toLowerCase().startsWith(typed));
    if (found >= 0) list.select(found);
  };
  list.node.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") open();
    else if (event.key === "Backspace") leave();
    else if (event.key === "Delete" && active()) remove();
    else if (event.key === "Escape" && !side.hidden) talk.send("shut");
    else if (event.key.length === 1 && event.key !== " ") jump(event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const leave = () => {
    if (path === "/") return;
    wanted = path.slice(path.lastIndexOf("/") + 1);
    go("..");
  };
  list.node.addEventListener("mousedown", (event) => {
    const row = event.target.closest(".rlt-entry");
    if (!row) return;
    event.preventDefault(); // the row is drawn anew: what is pressed now is not there when it is released
    list.node.focus({ preventScroll: true });
    list.select(Number(row.dataset.index));
    if (event.detail === 2) open();
  });
  place.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { go(place.value); list.node.focus(); }
    if (event.key === "Escape") { place.value = path; list.node.focus(); }
  });
  folderName.addEventListener("keydown", (event) => { // JupyterLab takes Enter from forms
    if (event.key === "Enter") makeFolder();
    if (event.key === "Escape") endFolder();
  });

  // The file beside it

  function showPreview(message, [image]) {
    if (shownImage) URL.revokeObjectURL(shownImage);
    shownImage = "";
    const had = side.contains(document.activeElement);
    side.hidden = !message.kind;
    side.replaceChildren();
    if (!message.kind) {
      if (had) list.node.focus();
      return;
    }
    side.append(make("div", { class: "rlt-side-bar" }, make("span", { class: "rlt-title", text: message.name, title: message.path }),
      make("span", { class: "rlt-size", text: spellSize(message.size) }), make("span", { class: "rlt-grow" }),
      message.kind === "text" && copyButton("Copy the text", () => message.text),
      button("close", "Close the preview (Escape)", () => talk.send("shut"))));
    if (message.remark) side.append(make("div", { class: "rlt-remark", text: message.remark }));
    if (message.kind === "text") side.append(make("pre", { class: "rlt-text", tabindex: "0", "aria-label": message.name, text: message.text }));
    if (message.kind === "image") {
      shownImage = URL.createObjectURL(new Blob([image], { type: message.mime }));
      side.append(make("div", { class: "rlt-image" }, make("img", { src: shownImage, alt: message.name })));
    }
  }
  side.addEventListener("keydown", (event) => { if (event.key === "Escape") talk.send("shut"); });

  // Files on their way

  function upload(files) {
    for (const file of files) {
      const key = newKey();
      sending.set(key, { file, received: 0, wake: null });
      talk.send("upload", { key, name: file.name, size: file.size });
    }
  }

  async function replace(key, name) {
    const { file } = sending.get(key);
    const yes = await ask(root, `Replace ${name}?`, `There is already ${name} in ${path}.`, "Replace");
    if (yes) talk.send("upload", { key, name, size: file.size, replace: true });
    else sending.delete(key);
  }

  async function send(key) {
    const going = sending.get(key);
    if (!going) return;
    try {
      for (let at = 0; at < going.file.size && sending.has(key); at += PIECE) {
        while (at - going.received > AHEAD * PIECE && sending.has(key)) await new Promise((resolve) => { going.wake = resolve; });
        talk.send("upload_part", { key }, [await going.file.slice(at, at + PIECE).arrayBuffer()]);
      }
      if (sending.has(key)) talk.send("upload_end", { key });
    } catch (error) {
      talk.send("cancel", { key });
      talk.problem(`${going.file.name} cannot be read: ${error.message}`);
    }
    sending.delete(key);
  }

  function cancel(key) {
    const going = sending.get(key);
    sending.delete(key);
    going?.wake?.();
    talk.send("cancel", { key });
  }

  function moved(message) {
    ({ transfers } = message);
    for (const { key, received } of transfers) {
      const going = sending.get(key);
      if (going) { going.received = received; going.wake?.(); }
    }
    const keys = transfers.map(({ key }) => key).join();
    if (moving.dataset.keys !== keys) {
      moving.dataset.keys = keys;
      moving.hidden = !transfers.length;
      moving.replaceChildren(...transfers.map(({ key, name, doing }) => make("div", { class: "rlt-transfer" },
        make("span", { class: "rlt-name", text: `${doing} ${name}` }), make("progress", { max: "1", "aria-label": `${doing} ${name}` }),
        make("span", { class: "rlt-size" }), button("close", `Cancel ${name}`, () => cancel(key)))));
    }
    transfers.forEach(({ doing, done, total, received }, index) => {
      const [, bar, amount] = moving.children[index].children;
      const part = doing === "Uploading" ? (received + done) / (2 * total) : done / total;
      if (total) bar.value = Math.min(part, 1);
      amount.textContent = total ? `${Math.round(Math.min(part, 1) * 100)} % of ${spellSize(total)}` : spellSize(done);
    });
  }

  const dropping = (on) => root.classList.toggle("rlt-dropping", on);
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  root.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.stopPropagation();
    dropping(true);
  });
  root.addEventListener("dragleave", (event) => { if (!root.contains(event.relatedTarget)) dropping(false); });
  root.addEventListener("drop", (event) => {
    dropping(false);
    if (!carries(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const folders = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory).map((entry) => entry.name);
    if (folders.length) talk.problem(`Folders cannot be dropped: %devbox upload ${folders[0]} takes one.`);
    upload([...event.dataTransfer.files].filter((file) => !folders.includes(file.name)));
  });
  talk.greet();

  return () => {
    if (shownImage) URL.revokeObjectURL(shownImage);
    list.close();
    talk.close();
  };
}

export default { render };
