// data_visualization: line, area, bar and pie charts as SVG, with a legend and a table for screen readers.

import { h, svg } from "../dom.js";

const COLORS = 6;
const BOX = { width: 560, height: 240, left: 48, right: 12, top: 10, bottom: 40 };
const number = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });

export function chart(block) {
  const spec = block.chart ?? {};
  const draw = { pie, bar, line: lines, area: lines }[spec.type];
  if (!draw) return h("div", { class: "unsupported", text: `Unsupported chart: ${spec.type ?? "unknown"}` });
  const series = spec.type === "pie" ? [] : (spec.series ?? []).map(normal);
  return h(
    "figure",
    { class: "chart", dataset: { chart: spec.type } },
    h("figcaption", { text: block.title ?? "" }),
    draw(spec, series, block.title ?? "Chart"),
    spec.type === "pie" ? null : legend(series.map((one) => one.name)),
    readable(spec, series),
  );
}

/** {name, points: [{label, value}]}, whichever way the points were written. */
function normal(series) {
  const points = (series.data ?? series.points ?? []).map((point, index) => (typeof point === "object" && point !== null ? { label: String(point.label ?? index), value: Number(point.value ?? point.y) } : { label: String(index), value: Number(point) }));
  return { name: String(series.name ?? series.label ?? ""), points: points.filter((point) => Number.isFinite(point.value)) };
}

function legend(names) {
  if (names.length < 2 && !names[0]) return null;
  return h("div", { class: "legend" }, names.map((name, index) => h("span", {}, h("i", { class: `swatch series-${index % COLORS}` }), name)));
}

function categories(spec, series) {
  const config = spec.axis_config ?? {};
  const given = (config.categories ?? []).map((category) => String(category?.label ?? category));
  return given.length ? given : [...new Set(series.flatMap((one) => one.points.map((point) => point.label)))];
}

function scale(series, fromZero) {
  const values = series.flatMap((one) => one.points.map((point) => point.value));
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (!values.length) [low, high] = [0, 1];
  if (fromZero || low > 0 && low < high * 0.6) low = Math.min(0, low);
  if (fromZero) high = Math.max(0, high);
  if (high === low) high = low + 1;
  const step = niceStep((high - low) / 4);
  low = Math.floor(low / step) * step;
  high = Math.ceil(high / step) * step;
  const ticks = [];
  for (let tick = low; tick <= high + step / 2; tick += step) ticks.push(Number(tick.toPrecision(12)));
  const height = BOX.height - BOX.top - BOX.bottom;
  return { ticks, y: (value) => BOX.top + height * (1 - (value - low) / (high - low)), base: Math.max(low, Math.min(0, high)) };
}

function niceStep(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw) * power;
}

function frame(spec, labels, axis, title, xOf) {
  const config = spec.axis_config ?? {};
  const right = BOX.width - BOX.right;
  const every = Math.ceil(labels.length / 8);
  return svg(
    "svg",
    { viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "img", "aria-label": title, class: "chart-svg" },
    axis.ticks.map((tick) => [
      svg("line", { x1: BOX.left, x2: right, y1: axis.y(tick), y2: axis.y(tick), class: "grid" }),
      svg("text", { x: BOX.left - 6, y: axis.y(tick) + 4, "text-anchor": "end", text: number.format(tick) }),
    ]),
    labels.map((label, index) => (index % every ? null : svg("text", { x: xOf(index), y: BOX.height - 22, "text-anchor": "middle", text: label }))),
    svg("text", { x: (BOX.left + right) / 2, y: BOX.height - 5, "text-anchor": "middle", class: "axis-title", text: config.x_label ?? config.x_axis_label ?? config.x_axis_title ?? "" }),
    svg("text", { transform: `translate(11 ${(BOX.height - BOX.bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "axis-title", text: config.y_label ?? config.y_axis_label ?? config.y_axis_title ?? "" }),
  );
}

function lines(spec, series, title) {
  const labels = categories(spec, series);
  const axis = scale(series, spec.type === "area");
  const width = BOX.width - BOX.left - BOX.right;
  const xOf = (index) => BOX.left + (labels.length > 1 ? (width * index) / (labels.length - 1) : width / 2);
  const picture = frame(spec, labels, axis, title, xOf);
  series.forEach((one, index) => {
    const points = one.points.map((point, at) => ({ ...point, x: xOf(Math.max(0, labels.indexOf(point.label) >= 0 ? labels.indexOf(point.label) : at)), y: axis.y(point.value) }));
    if (!points.length) return;
    const path = points.map((point, at) => `${at ? "L" : "M"}${point.x} ${point.y}`).join("");
    if (spec.type === "area") picture.append(svg("path", { class: `area series-${index % COLORS}`, d: `${path}L${points.at(-1).x} ${axis.y(axis.base)}L${points[0].x} ${axis.y(axis.base)}Z` }));
    picture.append(svg("path", { class: `line series-${index % COLORS}`, d: path }));
    for (const point of points) picture.append(svg("circle", { class: `dot series-${index % COLORS}`, cx: point.x, cy: point.y, r: 3 }, tip(`${one.name} · ${point.label}: ${number.format(point.value)}`)));
  });
  return picture;
}

const tip = (text) => svg("title", { text });

function bar(spec, series, title) {
  const labels = categories(spec, series);
  const axis = scale(series, true);
  const slot = (BOX.width - BOX.left - BOX.right) / Math.max(1, labels.length);
  const xOf = (index) => BOX.left + slot * (index + 0.5);
  const picture = frame(spec, labels, axis, title, xOf);
  const width = Math.min(56, (slot * 0.75) / Math.max(1, series.length));
  series.forEach((one, index) => {
    one.points.forEach((point, at) => {
      const place = labels.indexOf(point.label) >= 0 ? labels.indexOf(point.label) : at;
      const ends = [axis.y(point.value), axis.y(axis.base)];
      const x = xOf(place) + (index - series.length / 2) * width;
      picture.append(svg("rect", { class: `bar series-${index % COLORS}`, x: x + 1, width: Math.max(1, width - 2), y: Math.min(...ends), height: Math.max(1, Math.abs(ends[0] - ends[1])), rx: 2 }, tip(`${one.name} · ${point.label}: ${number.format(point.value)}`)));
    });
  });
  return picture;
}

function pie(spec, _series, title) {
  const segments = (spec.segments ?? []).map((segment) => ({ label: String(segment.label ?? ""), value: Math.max(0, Number(segment.value) || 0) }));
  const total = segments.reduce((sum, segment) => sum + segment.value, 0) || 1;
  const picture = svg("svg", { viewBox: "0 0 160 160", role: "img", "aria-label": title, class: "chart-pie" });
  let from = 0;
  segments.forEach((segment, index) => {
    const share = segment.value / total;
    const dash = `${share * 100} ${100 - share * 100}`;
    picture.append(svg("circle", { class: `slice series-${index % COLORS}`, cx: 80, cy: 80, r: 46, pathLength: 100, "stroke-dasharray": dash, "stroke-dashoffset": -from * 100, transform: "rotate(-90 80 80)" }, tip(`${segment.label}: ${number.format(segment.value)}`)));
    from += share;
  });
  const names = segments.map((segment) => `${segment.label} · ${number.format(segment.value)} (${Math.round((segment.value / total) * 100)} %)`);
  return h("div", { class: "pie" }, picture, legend(names));
}

function readable(spec, series) {
  const rows = spec.type === "pie" ? (spec.segments ?? []).map((segment) => [segment.label, segment.value]) : series.flatMap((one) => one.points.map((point) => [`${one.name} ${point.label}`, point.value]));
  return h("table", { class: "visually-hidden" }, h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", { text: cell }))))));
}
