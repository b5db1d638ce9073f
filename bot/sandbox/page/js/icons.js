// The page's own line icons, drawn on a 20 by 20 grid.

import { svg } from "./dom.js";

const PATHS = {
  hash: "M7.5 3 6 17M14 3l-1.5 14M3.5 7.5h14M2.5 12.5h14",
  lock: "M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9",
  menu: "M3 5.5h14M3 10h14M3 14.5h14",
  close: "m5 5 10 10M15 5 5 15",
  back: "M12 4 6 10l6 6",
  send: "M3 10 17 3l-4 14-3.5-5.5zM9.5 11.5 17 3",
  attach: "m16 9-6.5 6.5a3.5 3.5 0 0 1-5-5L11 4a2.4 2.4 0 0 1 3.4 3.4l-6.3 6.3a1.2 1.2 0 0 1-1.7-1.7L12 6.5",
  smile: "M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15M7 12a3.6 3.6 0 0 0 6 0M7.3 7.8v.6M12.7 7.8v.6",
  thread: "M3 4h14v9.5H9L5 17v-3.5H3zM6.5 7.5h7M6.5 10.2h4.5",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  down: "m5.5 8 4.5 4.5L14.5 8",
  right: "m8 5.5 4.5 4.5L8 14.5",
  check: "m4 10.5 4 4L16 6",
  download: "M10 3v9.5M6 9l4 4 4-4M4 17h12",
  stop: "M5.5 5.5h9v9h-9z",
  code: "m7 6-4 4 4 4M13 6l4 4-4 4",
  eye: "M2 10s3-5.5 8-5.5S18 10 18 10s-3 5.5-8 5.5S2 10 2 10M10 7.8a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4",
  file: "M5 2.5h6.5L15.5 6.5v11H5zM11 2.5V7h4.5",
  home: "m3 9.5 7-6 7 6V17h-4.5v-4.5h-5V17H3z",
  at: "M13 10a3 3 0 1 1-6 0 3 3 0 0 1 6 0m0 0v1.3a2 2 0 0 0 4 0V10a7 7 0 1 0-3 5.7",
  slash: "M12.5 4l-5 12",
  up: "M10 17V6M5.5 9.5 10 5l4.5 4.5",
  trash: "M4 5.5h12M8 5.5V3.5h4v2M5.5 5.5 6.3 17h7.4l.8-11.5",
  copy: "M7 7h9v10H7zM4 13V3h9",
  search: "M9 3.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M13 13l4 4",
  bolt: "M11 2.5 4.5 11H9l-1 6.5L15.5 8.5H11z",
  alert: "M10 3 18 17H2zM10 8v4M10 14.5v.1",
  info: "M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15M10 9v5M10 6.2v.1",
  plus: "M10 4v12M4 10h12",
  refresh: "M16 6.5A7 7 0 1 0 17 11M16.5 3v4h-4",
};

/** An icon that is decoration: screen readers skip it. */
export function icon(name, size = 18) {
  const path = svg("path", { d: PATHS[name] ?? PATHS.info });
  return svg("svg", { class: `icon icon-${name}`, viewBox: "0 0 20 20", width: size, height: size, "aria-hidden": "true", focusable: "false" }, path);
}
