// table, and data_table with sorting, filtering and pages.

import { h, replace } from "../dom.js";
import { count } from "../format.js";
import { inline, plain } from "../mrkdwn.js";
import { richTextNodes } from "./richtext.js";

export function table(block) {
  const [head, ...body] = block.rows ?? [];
  const settings = block.column_settings ?? [];
  const row = (tag) => (cells) => h("tr", {}, cells.map((cell, column) => h(tag, { class: cellClass(cell, settings[column]), scope: tag === "th" ? "col" : undefined }, cellNodes(cell))));
  return scroller(h("table", {}, h("thead", {}, head ? row("th")(head) : null), h("tbody", {}, body.map(row("td")))));
}

const scroller = (element) => h("div", { class: "table-scroll", tabindex: "0" }, element);

function cellClass(cell, setting) {
  const align = setting?.align ?? (cell?.type === "raw_number" ? "right" : "left");
  return [`align-${["left", "center", "right"].includes(align) ? align : "left"}`, setting?.is_wrapped && "wrapped"];
}

function cellNodes(cell) {
  if (cell === null || cell === undefined) return [];
  if (cell.type === "rich_text") return richTextNodes(cell);
  if (cell.type === "mrkdwn") return inline(cell.text);
  return plain(cellText(cell));
}

function cellText(cell) {
  if (typeof cell !== "object" || cell === null) return String(cell ?? "");
  if (cell.type === "rich_text") return (cell.elements ?? []).flatMap((part) => part.elements ?? []).map((item) => item.text ?? "").join("");
  return String(cell.text ?? cell.value ?? "");
}

const sortKey = (cell) => (cell?.type === "raw_number" ? Number(cell.value) : cellText(cell).toLowerCase());

export function dataTable(block) {
  const [head = [], ...rows] = block.rows ?? [];
  const size = block.page_size ?? 5;
  const view = { page: 0, column: -1, up: true, filter: "" };
  const body = h("tbody");
  const position = h("span", { class: "muted" });
  const back = h("button", { type: "button", class: "button button-small", text: "Previous" });
  const on = h("button", { type: "button", class: "button button-small", text: "Next" });
  const filter = h("input", { type: "search", class: "field-input table-filter", placeholder: "Filter", "aria-label": "Filter rows" });
  const heads = head.map((cell, column) => h("th", { scope: "col", class: cellClass(rows[0]?.[column]) }, h("button", { type: "button", class: "sort", on: { click: () => sortBy(column) } }, cellNodes(cell))));

  function sortBy(column) {
    view.up = view.column === column ? !view.up : true;
    view.column = column;
    view.page = 0;
    draw();
  }

  function draw() {
    const found = rows.filter((row) => !view.filter || row.some((cell) => cellText(cell).toLowerCase().includes(view.filter)));
    if (view.column >= 0) found.sort((a, b) => compare(sortKey(a[view.column]), sortKey(b[view.column])) * (view.up ? 1 : -1));
    const pages = Math.max(1, Math.ceil(found.length / size));
    view.page = Math.max(0, Math.min(view.page, pages - 1));
    const headerColumn = block.row_header_column_index ?? 0;
    replace(body, found.slice(view.page * size, (view.page + 1) * size).map((row) => h("tr", {}, row.map((cell, column) => h(column === headerColumn ? "th" : "td", { scope: column === headerColumn ? "row" : undefined, class: cellClass(cell) }, cellNodes(cell))))));
    heads.forEach((node, column) => node.setAttribute("aria-sort", column === view.column ? (view.up ? "ascending" : "descending") : "none"));
    position.textContent = `${count(found.length, "row", "rows")} · page ${view.page + 1} of ${pages}`;
    back.disabled = view.page === 0;
    on.disabled = view.page >= pages - 1;
  }

  back.addEventListener("click", () => (view.page -= 1, draw()));
  on.addEventListener("click", () => (view.page += 1, draw()));
  filter.addEventListener("input", () => {
    view.filter = filter.value.trim().toLowerCase();
    view.page = 0;
    draw();
  });
  draw();
  const controls = rows.length > size ? h("div", { class: "table-foot" }, filter, h("span", { class: "spacer" }), position, back, on) : null;
  return h("div", { class: "data-table" }, scroller(h("table", {}, h("caption", { text: block.caption ?? "" }), h("thead", {}, h("tr", {}, heads)), body)), controls);
}

const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
