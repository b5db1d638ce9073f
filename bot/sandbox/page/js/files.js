// Files attached to a message: pictures inline, everything else as a card with name, size, type and a download link.

import { h, safeUrl } from "./dom.js";
import { fileSize } from "./format.js";
import { icon } from "./icons.js";
import { picture } from "./lightbox.js";
import { asReader } from "./session.js";

/** The attachments of a message, or null. */
export function fileList(files) {
  if (!files?.length) return null;
  return h("div", { class: "files" }, files.map(fileNode));
}

function fileNode(file) {
  const name = file.title || file.name || "file";
  if ((file.mimetype ?? "").startsWith("image/") && !file.mimetype.includes("svg")) {
    const caption = h("div", { class: "file-caption" }, h("span", { text: name }), h("span", { class: "muted", text: fileSize(file.size) }), downloadLink(file));
    return h("figure", { class: "file-image", dataset: { testid: "file", fileId: file.id } }, caption, picture(file.url_private, file.alt_txt || name));
  }
  return h(
    "div",
    { class: "file-card", dataset: { testid: "file", fileId: file.id } },
    h("span", { class: "file-icon", dataset: { kind: extension(file) } }, icon("file", 22), h("span", { text: extension(file) })),
    h("span", { class: "file-names" }, h("strong", { text: file.name || name, title: file.name }), h("span", { class: "muted", text: `${typeName(file)} · ${fileSize(file.size)}` })),
    downloadLink(file),
  );
}

function downloadLink(file) {
  const href = safeUrl(asReader(file.url_private_download || file.url_private));
  if (!href) return null;
  return h("a", { class: "icon-button", href, download: file.name ?? "", "aria-label": `Download ${file.name}`, title: "Download", dataset: { testid: "download" } }, icon("download"));
}

function extension(file) {
  const match = /\.([a-z0-9]{1,7})$/i.exec(file.name ?? "");
  return (match ? match[1] : file.filetype || "file").toLowerCase();
}

const TYPES = {
  jsonl: "JSON lines", json: "JSON", csv: "CSV table", tsv: "TSV table", parquet: "Parquet table", txt: "Text", md: "Markdown",
  yml: "YAML", yaml: "YAML", zip: "Archive", pdf: "PDF", py: "Python", gz: "Archive", xlsx: "Spreadsheet",
};

function typeName(file) {
  return TYPES[extension(file)] ?? file.pretty_type ?? file.mimetype ?? "File";
}
