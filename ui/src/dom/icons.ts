const SVG = "http://www.w3.org/2000/svg";

/** Drawn by lines, on 16 by 16. */
const LINES = {
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

/** Drawn by areas. */
const AREAS = {
  play: "M4 2.5v11l9-5.5z",
  stop: "M3.5 3.5h9v9h-9z",
  download: "M7.25 1h1.5v7.2l2.5-2.5 1.05 1.05L8 11 3.7 6.75 4.75 5.7l2.5 2.5zM2 12.5h12V14H2z",
  upload: "M7.25 11h1.5V3.8l2.5 2.5 1.05-1.05L8 1 3.7 5.25 4.75 6.3l2.5-2.5zM2 12.5h12V14H2z",
  again: "M8 2a6 6 0 1 0 6 6h-1.6A4.4 4.4 0 1 1 8 3.6c1.2 0 2.3.5 3.1 1.3L9 7h5V2l-1.8 1.8A6 6 0 0 0 8 2z",
  folder: "M1.5 3h4.6l1.5 1.6h6.9a.5.5 0 0 1 .5.5v7.9a.5.5 0 0 1-.5.5h-13a.5.5 0 0 1-.5-.5v-9.5a.5.5 0 0 1 .5-.5z",
  newfolder:
    "M1.5 3h4.6l1.5 1.6h6.9a.5.5 0 0 1 .5.5v7.9a.5.5 0 0 1-.5.5h-13a.5.5 0 0 1-.5-.5v-9.5a.5.5 0 0 1 .5-.5zM7.3 6.5v1.8H5.5v1.3h1.8v1.8h1.4V9.6h1.8V8.3H8.7V6.5z",
  file: "M3.5 1h6L13 4.5V14.5a.5.5 0 0 1-.5.5h-9a.5.5 0 0 1-.5-.5v-13a.5.5 0 0 1 .5-.5zM4.5 2.5v11h7V5.5H8.5v-3z",
  edit: "M11.3 1.6a1 1 0 0 1 1.4 0l1.7 1.7a1 1 0 0 1 0 1.4L5.6 13.5 1.5 14.5l1-4.1zM3.9 11.1l-.4 1.4 1.4-.4L12.6 4.4l-1-1z",
  trash: "M6 1h4l.5 1H14v1.5H2V2h3.5zM3 5h10l-.7 9.1a1 1 0 0 1-1 .9H4.7a1 1 0 0 1-1-.9zM6 7v6h1.2V7zm2.8 0v6H10V7z",
  clear:
    "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM3 8a5 5 0 0 1 8-4L4 11a5 5 0 0 1-1-3zm5 5a5 5 0 0 1-3-1l7-7a5 5 0 0 1-4 8z",
  read: "M8 3.5c3.4 0 5.9 2.7 7 4.5-1.1 1.8-3.6 4.5-7 4.5S2.1 9.8 1 8c1.1-1.8 3.6-4.5 7-4.5zm0 1.8a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 0 0 0-5.4z",
};

export type IconName = keyof typeof LINES | keyof typeof AREAS;

/** A picture beside a label, or in place of one. `tone` is a colour: ok, info, warn, bad or quiet. */
export function icon(name: IconName, tone = ""): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  const drawn = name in AREAS ? "rl-area" : "";
  svg.setAttribute("class", ["rl-icon", `rl-icon-${name}`, drawn, tone && `rl-${tone}`].filter(Boolean).join(" "));
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", name in LINES ? LINES[name as keyof typeof LINES] : AREAS[name as keyof typeof AREAS]);
  svg.append(path);
  return svg;
}
