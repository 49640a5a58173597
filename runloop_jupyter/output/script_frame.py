"""Sandboxed iframes for HTML with scripts: isolated from the notebook's page, and without a network.

There are two iframes, one inside the other. The scripts run in the inner one, which has an opaque origin; it inherits a
content security policy that keeps it from loading anything. The outer one contains nothing of the markup. Its policy
forbids frames in it to navigate elsewhere, which a frame's own policy cannot do. Two gaps remain for scripts that look
for them: WebRTC from a frame within the frame, and the DNS lookup of a host to which the browser then refuses to go.

The frame is as high as its content: the inner frame reports its height, the outer one passes it on, and our handler on
the frame's element accepts it, a number from that frame and nothing else. The same handler gives the frame the
notebook's light or dark colour scheme.
"""

from __future__ import annotations

from html import escape

SETTING = "frame_network"
_INLINE = "data: blob:"
_POLICY = "; ".join(
    [
        "default-src 'none'",
        f"script-src 'unsafe-inline' 'unsafe-eval' {_INLINE}",
        f"style-src 'unsafe-inline' {_INLINE}",
        *(f"{kind}-src {_INLINE}" for kind in ("img", "font", "media", "worker", "connect")),
        *(f"{what} 'none'" for what in ("frame-src", "object-src", "base-uri", "form-action")),
    ]
)
_META = (
    f'<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    '<meta http-equiv="x-dns-prefetch-control" content="off"><meta charset="utf-8">'
)
_COLOURS = '<meta name="color-scheme" content="light dark">'
_OUTER = """<style>
html, body, iframe {width: 100%; height: 100%; margin: 0; border: 0; overflow: hidden}
</style><script>
addEventListener("message", ({source, data}) => {
  if (source === frames[0]) parent.postMessage({height: data?.height}, "*");
})</script>"""
# Runs in the notebook's page, as the frame's load handler.
_ON_LOAD = """
this.fitting?.abort();
this.fitting = new AbortController();
const {signal} = this.fitting;
const colour = () => {
  const {jpThemeLight, vscodeThemeKind} = document.body.dataset;
  const isDark = jpThemeLight === "false" || /dark|contrast$/.test(vscodeThemeKind);
  this.style.colorScheme = isDark ? "dark" : "light";
};
const themes = new MutationObserver(colour);
colour();
themes.observe(document.body, {attributes: true});
signal.addEventListener("abort", () => themes.disconnect());
window.addEventListener("message", ({source, data}) => {
  if (!this.isConnected) this.fitting.abort();
  else if (source === this.contentWindow && data?.height > 0)
    this.style.height = `${Math.min(Math.ceil(data.height), MOST)}px`;
}, {signal});
"""
_MOST_PIXELS, _LEAST_PIXELS = 10_000, 40
# A page that fills its window (height: 100%) is measured without that rule; if it then has no height, the frame keeps
# its own. A page that is always a little higher than its frame makes the frame grow three times, not for ever.
_FIT = """<script>(() => {
  let follows = 0, before = 0;
  const natural = (root, body) => {
    const parts = [root, body].filter(Boolean), before = parts.map((part) => part.style.cssText);
    for (const part of parts) part.style.setProperty("height", "auto", "important");
    const {height} = root.getBoundingClientRect();
    parts.forEach((part, place) => part.style.cssText = before[place]);
    return height < LEAST ? innerHeight : height;
  };
  const measure = () => {
    const root = document.documentElement, bar = innerHeight - root.clientHeight;
    const overflow = root.scrollHeight > root.clientHeight ? root.scrollHeight : 0;
    const {height} = root.getBoundingClientRect();
    const own = height === root.clientHeight ? natural(root, document.body) : height;
    return Math.ceil(Math.max(own, overflow)) + bar;
  };
  const fit = () => {
    const height = measure(), more = height - innerHeight;
    follows = more > 0 && more === before ? follows + 1 : 0;
    before = more;
    if (follows < 3) parent.postMessage({height}, "*");
  };
  new ResizeObserver(fit).observe(document.documentElement);
  addEventListener("load", fit);
  addEventListener("resize", () => {
    if (measure() <= innerHeight) before = 0;
  });
})()</script>""".replace("LEAST", str(_LEAST_PIXELS))


# Names the hosts that nothing was loaded from: a plot that gets its library from there would just stay empty.
_PRELUDE = """<!DOCTYPE html><script>(() => {
  const hosts = new Set(), note = document.createElement("div");
  note.style = "font: 13px sans-serif; padding: 4px; color: #b26a00";
  addEventListener("securitypolicyviolation", (event) => {
    if (!/^(https?|wss?):/.test(event.blockedURI)) return;
    hosts.add(new URL(event.blockedURI).host);
    note.textContent = `Not loaded, as this frame has no network: ${[...hosts].join(", ")}. ` +
      "Allow it for what you run next: %config RunloopMagics.SETTING = True";
    (document.body || document.documentElement).append(note);
  });
  self.navigation?.addEventListener("navigate", (event) => event.hashChange || event.preventDefault());
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete self[name];
})()</script>""".replace("SETTING", SETTING)


def frame(markup: str, *, network: bool = False) -> str:
    """HTML that shows `markup` in a frame; with `network`, it may load anything."""
    style = "width: 100%; height: 420px; border: 0; resize: vertical; overflow: auto"
    on_load = _ON_LOAD.replace("MOST", str(_MOST_PIXELS))
    if network:
        return _framed(f"<!DOCTYPE html>{_COLOURS}{_FIT}{markup}", style=style, onload=on_load)
    inner = _framed(f"{_PRELUDE}{_COLOURS}{_FIT}{markup}")
    return _framed(f"{_META}{_COLOURS}{_OUTER}{inner}", style=style, onload=on_load)


def _framed(content: str, **attributes: str) -> str:
    given = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f'<iframe sandbox="allow-scripts" referrerpolicy="no-referrer" srcdoc="{escape(content)}"{given}></iframe>'
