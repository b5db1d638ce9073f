// Short messages at the edge of the page: what failed, or that something was copied.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { ApiError } from "./api.js";

const SECONDS = 7;

/** Show a message; kind is "info" or "error". */
export function toast(text, kind = "info") {
  const host = document.getElementById("toasts");
  const close = h("button", { type: "button", class: "icon-button", "aria-label": "Dismiss" }, icon("close", 14));
  const box = h("div", { class: ["toast", `toast-${kind}`], dataset: { testid: "toast" } }, h("span", { text }), close);
  const remove = () => box.remove();
  close.addEventListener("click", remove);
  window.setTimeout(remove, SECONDS * 1000);
  host.append(box);
  host.setAttribute("popover", "manual");
  if (host.matches(":popover-open")) host.hidePopover();
  host.showPopover();
}

/**
 * Await a call of the workspace's server; a refusal ({ok: false}) or an unreachable server becomes a toast and null.
 */
export async function attempt(promise, what) {
  let answer;
  try {
    answer = await promise;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(`${what}: ${error.message}`, "error");
    return null;
  }
  if (answer.ok === false) {
    toast(`${what}: ${answer.error ?? "refused"}`, "error");
    return null;
  }
  return answer;
}
