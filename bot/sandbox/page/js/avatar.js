// A person's or the bot's square with initials, in the colour the workspace gave them.

import { h, svg } from "./dom.js";
import { initials } from "./format.js";
import { store } from "./store.js";

const FALLBACK = ["#0f766e", "#b45309", "#4d7c0f", "#be185d", "#6d28d9", "#0369a1"];

/** An avatar; it repeats the name beside it, so screen readers skip it. */
export function avatar(id, size = 36) {
  if (id === store.workspace.bot_user_id || id === "workspace") return botAvatar(id, size);
  const user = store.user(id);
  const box = h("span", { class: "avatar", "aria-hidden": "true", text: initials(user?.real_name || user?.name || id) });
  box.style.setProperty("--size", `${size}px`);
  box.style.setProperty("--color", colorOf(user, id));
  return box;
}

function colorOf(user, id) {
  const color = String(user?.color ?? "").replace(/^#/, "");
  if (/^[0-9a-f]{6}$/i.test(color)) return `#${color}`;
  return FALLBACK[[...String(id)].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % FALLBACK.length];
}

function botAvatar(id, size) {
  const box = h("span", { class: ["avatar", id === "workspace" ? "avatar-workspace" : "avatar-bot"], "aria-hidden": "true" });
  box.style.setProperty("--size", `${size}px`);
  const knobs = [[9, 19], [16, 11.5], [23, 17]];
  box.append(
    svg(
      "svg",
      { viewBox: "0 0 32 32" },
      knobs.map(([x]) => svg("path", { d: `M${x} 7v18`, class: "slot" })),
      knobs.map(([cx, cy]) => svg("circle", { cx, cy, r: 3.2, class: "knob" })),
    ),
  );
  return box;
}
