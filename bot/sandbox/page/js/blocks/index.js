// Block Kit on the page: which function draws which block, and how a list of blocks is brought up to date in place.

import { h } from "../dom.js";
import { actions, contextActions } from "./actions.js";
import { card, carousel, container } from "./cards.js";
import { chart } from "./charts.js";
import { input } from "./inputs.js";
import { richText } from "./richtext.js";
import { dataTable, table } from "./tables.js";
import { plan, taskCard } from "./tasks.js";
import { alertBlock, context, file, header, imageBlock, markdownBlock, section, video } from "./text.js";

const RENDERERS = {
  section,
  header,
  divider: () => h("hr"),
  context,
  image: imageBlock,
  markdown: markdownBlock,
  rich_text: richText,
  alert: alertBlock,
  file,
  video,
  actions,
  context_actions: contextActions,
  input,
  table,
  data_table: dataTable,
  data_visualization: chart,
  plan,
  task_card: taskCard,
  card,
  carousel,
  container,
};

/** Draw one block. `context` is {surface, where, form}. */
export function renderBlock(block, blockContext) {
  const render = RENDERERS[block?.type];
  const content = render ? render(block, blockContext, renderBlock) : unsupported(block);
  return h(
    "div",
    { class: ["block", `block-${String(block?.type).replace(/[^a-z_]/g, "")}`], dataset: { blockId: block?.block_id, blockType: block?.type } },
    content,
  );
}

function unsupported(block) {
  return h("div", { class: "unsupported", dataset: { testid: "unsupported" }, text: `Unsupported block: ${block?.type ?? "unknown"}` });
}

/** A list of blocks that changes in place: what is the same stays the same DOM, so nothing flickers. */
export class BlockList {
  constructor(className = "blocks") {
    this.element = h("div", { class: className });
    this.entries = [];
  }

  update(blocks, blockContext) {
    const focused = this.element.contains(document.activeElement) ? document.activeElement : null;
    const old = this.entries;
    const kept = new Set();
    this.entries = blocks.map((block, index) => {
      const json = JSON.stringify(block);
      const same = old[index]?.json === json && !kept.has(old[index]) ? old[index] : old.find((entry) => entry.json === json && !kept.has(entry));
      if (same) kept.add(same);
      return same ?? { json, node: keepPictures(renderBlock(block, blockContext), old[index]?.node) };
    });
    for (const entry of old) if (!kept.has(entry)) entry.node.remove();
    this.entries.forEach(({ node }, index) => {
      if (this.element.children[index] !== node) this.element.insertBefore(node, this.element.children[index] ?? null);
    });
    if (focused && !focused.isConnected) this.refocus(focused);
  }

  refocus(old) {
    const action = old.closest("[data-action-id]")?.dataset.actionId;
    const block = old.closest("[data-block-id]")?.dataset.blockId;
    if (!action) return;
    const scope = (block && this.element.querySelector(`[data-block-id="${CSS.escape(block)}"]`)) || this.element;
    const target = scope.querySelector(`[data-action-id="${CSS.escape(action)}"]`);
    const focusable = target?.matches("button, input, textarea") ? target : target?.querySelector("button, input, textarea");
    focusable?.focus({ preventScroll: true });
  }
}

/** Reuse pictures that were already loaded, so an edited block does not blink. */
function keepPictures(node, old) {
  if (!old) return node;
  const loaded = new Map([...old.querySelectorAll("img")].map((image) => [image.src, image]));
  for (const image of node.querySelectorAll("img")) {
    const same = loaded.get(image.src);
    if (same && same.alt === image.alt) {
      loaded.delete(image.src);
      image.replaceWith(same);
    }
  }
  return node;
}
