// The app's Home tab: the view it published for this person.

import { BlockList } from "./blocks/index.js";
import { h, replace } from "./dom.js";
import { Form } from "./form.js";
import { session } from "./session.js";
import { store } from "./store.js";
import { attempt } from "./toast.js";

/** The Home tab; asks the app for it when opened, and follows what the app publishes. */
export class HomeTab {
  constructor() {
    this.form = new Form();
    this.blocks = new BlockList("blocks home-blocks");
    this.element = h("div", { class: "home", role: "tabpanel", tabindex: "0", "aria-label": "Home", dataset: { testid: "home" } });
    store.subscribe("home", () => this.draw());
    store.subscribe("workspace", () => this.element.isConnected && this.draw());
  }

  open() {
    this.draw();
    attempt(session.api.openHome(), "The home tab could not be opened");
  }

  draw() {
    const blocks = store.home?.blocks ?? [];
    if (!blocks.length) {
      replace(this.element, h("p", { class: "muted home-empty", text: `${store.workspace.app_name || "The app"} has published nothing here yet.` }));
      return;
    }
    this.blocks.update(blocks, { surface: "home", where: { home: true }, form: this.form });
    this.form.keepOnly(new Set(blocks.map((block) => block.block_id)));
    if (this.blocks.element.parentNode !== this.element) replace(this.element, this.blocks.element);
  }
}
