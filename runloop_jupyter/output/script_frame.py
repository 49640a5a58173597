"""The frame in which HTML that lives by its scripts is shown: apart from the notebook's page, and without a network.

Two frames, one in the other. The scripts run in the inner one, whose origin is no page's; a content policy, which it
inherits, keeps it from loading anything. The outer one, in which nothing of the markup is, has the policy that no frame
in it may go elsewhere: no policy of its own keeps a frame from that. Two things are left to scripts that look for them:
WebRTC from a frame within the frame, and that a browser looks up a host before it refuses to go there.

The frame is as high as what it shows: the inner one says its height, the outer one passes it on, and a handler of ours
on the frame's element takes it, a number from that frame and nothing else. The same handler gives the frame the
notebook's colours, light or dark.
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
# In the notebook's page, as the frame's own handler.
_TAKE = """
this.fitting?.abort();
this.fitting = new AbortController();
const {signal} = this.fitting;
const colour = () => {
  const {jpThemeLight, vscodeThemeKind} = document.body.dataset;
  const isDark = jpThemeLight === "false" || /dark/.test(vscodeThemeKind);
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
# A page that takes the whole height of its window is measured without that; what then has no height keeps the frame's.
# Where what is shown is always a little higher than the frame, the frame does not grow for ever.
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


# Says what was not loaded, as a plot that gets its library from elsewhere would just be empty.
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
    """HTML that shows `markup` in a frame; with `network` it may load what it likes."""
    style = "width: 100%; height: 420px; border: 0; resize: vertical; overflow: auto"
    take = _TAKE.replace("MOST", str(_MOST_PIXELS))
    if network:
        return _framed(f"<!DOCTYPE html>{_COLOURS}{_FIT}{markup}", style=style, onload=take)
    inner = _framed(f"{_PRELUDE}{_COLOURS}{_FIT}{markup}")
    return _framed(f"{_META}{_COLOURS}{_OUTER}{inner}", style=style, onload=take)


def _framed(content: str, **attributes: str) -> str:
    given = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f'<iframe sandbox="allow-scripts" referrerpolicy="no-referrer" srcdoc="{escape(content)}"{given}></iframe>'
