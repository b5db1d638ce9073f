// Places floating boxes beside their anchor, and shows menus. Boxes use the browser's top layer (popover), so they
// are never clipped by a scrolling panel and work inside dialogs too.

import { h, replace } from "./dom.js";

/** Put a shown popover under (or over, if there is no room) its anchor. */
export function place(box, anchor, { align = "start", width = false } = {}) {
  const target = anchor.getBoundingClientRect();
  if (width) box.style.width = `${target.width}px`;
  const size = box.getBoundingClientRect();
  const margin = 8;
  const left = align === "end" ? target.right - size.width : target.left;
  const below = target.bottom + 4;
  const fits = below + size.height <= window.innerHeight - margin || target.top < size.height + margin;
  box.style.left = `${Math.max(margin, Math.min(left, window.innerWidth - size.width - margin))}px`;
  box.style.top = `${fits ? below : target.top - size.height - 4}px`;
}

/** Where a floating box must live to be usable: the open dialog, or the page. */
export function layerOf(anchor) {
  return anchor.closest("dialog") ?? document.body;
}

/** Show any content as a light-dismiss box; returns a function that closes it. */
export function openPopup(anchor, content, { label, align, className = "", onClose } = {}) {
  const box = h("div", { class: ["popup", className], popover: "auto", "aria-label": label }, content);
  layerOf(anchor).append(box);
  box.showPopover();
  place(box, anchor, { align });
  anchor.setAttribute("aria-expanded", "true");
  box.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    box.remove();
    onClose?.();
  });
  return () => box.isConnected && box.hidePopover();
}

/**
 * A menu of {label, description?, icon?, danger?, checked?, onSelect, testid?, dataset?} items; null items are rules.
 */
export function openMenu(anchor, items, { label = "Menu", align = "end" } = {}) {
  let close = () => {};
  const nodes = items.map((item) => {
    if (item === null) return h("hr", { role: "separator" });
    const choose = () => {
      close();
      anchor.focus({ preventScroll: true });
      item.onSelect();
    };
    return h(
      "button",
      {
        type: "button",
        role: item.checked === undefined ? "menuitem" : "menuitemradio",
        "aria-checked": item.checked === undefined ? undefined : String(item.checked),
        class: ["menu-item", item.danger && "danger"],
        dataset: { testid: item.testid ?? "menu-item", ...item.dataset },
        on: { click: choose },
      },
      item.icon ?? null,
      h("span", { class: "menu-text" }, h("span", {}, item.label), item.description && h("small", {}, item.description)),
    );
  });
  const menu = h("div", { role: "menu", class: "menu", "aria-label": label, dataset: { testid: "menu" }, on: { keydown: moveInMenu } });
  replace(menu, nodes);
  close = openPopup(anchor, menu, { label, align });
  menu.querySelector("[aria-checked=true], .menu-item")?.focus();
  return close;
}

function moveInMenu(event) {
  const items = [...event.currentTarget.querySelectorAll(".menu-item")];
  const at = items.indexOf(document.activeElement);
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key in steps) items[(at + steps[event.key] + items.length) % items.length]?.focus();
  else if (event.key === "Home") items[0]?.focus();
  else if (event.key === "End") items.at(-1)?.focus();
  else return;
  event.preventDefault();
}
