// Pictures in messages, and the large view of one.

import { h, safeUrl } from "./dom.js";
import { icon } from "./icons.js";
import { asReader } from "./session.js";

/** A picture that opens large on click; a broken address shows its description instead. */
export function picture(url, alt, className = "picture") {
  const src = safeUrl(asReader(url), { images: true });
  const description = alt || "Image without a description";
  if (!src) return h("span", { class: "picture-missing", text: description });
  const image = h("img", { src, alt: description, loading: "lazy", decoding: "async" });
  const button = h(
    "button",
    { type: "button", class: className, "aria-label": `Open image: ${description}`, dataset: { testid: "image" }, on: { click: () => openLightbox(src, description) } },
    image,
  );
  image.addEventListener("error", () => button.replaceWith(h("span", { class: "picture-missing", text: `🖼 ${description}` })));
  return button;
}

/** Show one picture over the page. */
export function openLightbox(src, alt) {
  const close = h("button", { type: "button", class: "icon-button lightbox-close", "aria-label": "Close" }, icon("close", 22));
  const dialog = h(
    "dialog",
    { class: "lightbox", "aria-label": alt, dataset: { testid: "lightbox" } },
    h("figure", {}, h("img", { src, alt }), h("figcaption", { text: alt })),
    close,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target.tagName !== "IMG") dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
