// Elements, icons and focus. Text from the service goes into the page as text only: there is no innerHTML here.

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  disc: "M8 3.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 0 0 0-9.6z",
  ring: "M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9z",
  pause: "M5.6 3.8v8.4M10.4 3.8v8.4",
  cross: "M4 4l8 8M12 4l-8 8",
  tick: "M3 8.4l3.3 3.3L13 4.8",
  spin: "M8 2.8a5.2 5.2 0 1 1-5.2 5.2",
  ask: "M5.8 6a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.6M8 12.2v.1",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4a4.2 4.2 0 0 0 0-8.4zM10.2 10.2l3.4 3.4",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  plus: "M8 3v10M3 8h10",
  up: "M8 12.5v-9M4.2 7.2L8 3.4l3.8 3.8",
  down: "M8 3.5v9M4.2 8.8L8 12.6l3.8-3.8",
  copy: "M5.5 5.5V3h7.5v7.5h-2.5M3 5.5h7.5V13H3z",
  insert: "M3 3h10v4H3zM8 9.5v4M6 11.5h4",
  warn: "M8 2.6L14 13H2zM8 6.5v3.2M8 11.4v.1",
  link: "M6.5 9.5l3-3M7 4.8l1.3-1.3a2.7 2.7 0 0 1 4 4L11 8.8M9 11.2l-1.3 1.3a2.7 2.7 0 0 1-4-4L5 7.2",
};

function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child || child === 0));
  return element;
}

function words(...text) {
  return h("span", {}, ...text);
}

function icon(shape, tone = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `rl-icon rl-icon-${shape} ${tone && `rl-${tone}`}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[shape]);
  svg.append(path);
  return svg;
}

function button(label, onclick, { shape, kind = "", title, ...props } = {}) {
  const content = [shape && icon(shape), label && words(label)];
  return h("button", { type: "button", class: `rl-button ${kind}`, onclick, title, "aria-label": label ? null : title, ...props }, ...content);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * Make `parent` have these children, and keep the elements that it has: by `data-key`, else by their place. The browser
 * forgets a press, and the focus, of an element that leaves the page for a moment. If the focused one is not wanted any
 * more, `otherwise` gets the focus.
 */
function renew(parent, children, otherwise = null) {
  const focused = otherwise && parent.contains(document.activeElement);
  const keys = new Set(children.map((child) => child.dataset?.key));
  for (const child of [...parent.children]) if (child.dataset.key && !keys.has(child.dataset.key)) child.remove();
  const kept = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstChild;
  for (const child of children) {
    const key = child.dataset?.key;
    const old = key ? kept.get(key) : at && !at.dataset?.key && at.nodeName === child.nodeName ? at : null;
    if (old) become(old, child);
    if (old && old === at) at = at.nextSibling;
    else parent.insertBefore(old ?? child, at);
  }
  while (at) [at] = [at.nextSibling, at.remove()];
  if (focused && !parent.contains(document.activeElement)) otherwise.focus({ preventScroll: true });
}

function become(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) setAttribute(old, name, value);
  old.onclick = fresh.onclick;
  renew(old, [...fresh.childNodes]);
}

/** Moves the focus among elements of which one at a time can be reached by Tab. */
function roving(container, selector, { vertical = false } = {}) {
  const [back, forth] = vertical ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
  container.addEventListener("keydown", (event) => {
    const all = [...container.querySelectorAll(selector)].filter((each) => !each.disabled && each.offsetParent);
    const at = all.indexOf(event.target.closest(selector));
    if (at < 0 || event.shiftKey || event.ctrlKey || event.metaKey) return;
    const to = { [back]: at - 1, [forth]: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    for (const each of all) each.tabIndex = each === next ? 0 : -1;
    next.focus();
  });
}
