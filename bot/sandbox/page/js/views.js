// Modals: the stack of open views as one dialog, with required fields checked, problems beside their fields, and a
// button that shows that it is working.

import { BlockList } from "./blocks/index.js";
import { h, replace } from "./dom.js";
import { Form } from "./form.js";
import { icon } from "./icons.js";
import { plain } from "./mrkdwn.js";
import { session } from "./session.js";
import { store } from "./store.js";
import { attempt } from "./toast.js";
import { ApiError } from "./api.js";

const textOf = (object, fallback) => plain(object?.text ?? fallback);

/** Follows the store's view stack. */
export class ViewHost {
  constructor() {
    this.panels = new Map();
    this.dialog = h("dialog", { class: "dialog modal", "aria-labelledby": "view-title", dataset: { testid: "modal" } });
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.top?.leave();
    });
    document.body.append(this.dialog);
    store.subscribe("views", () => this.sync());
    store.subscribe("workspace", () => this.sync());
  }

  sync() {
    const ids = new Set(store.views.map((view) => view.id));
    for (const id of [...this.panels.keys()]) if (!ids.has(id)) this.panels.delete(id);
    const view = store.views.at(-1);
    if (!view) {
      this.top = null;
      if (this.dialog.open) this.dialog.close();
      replace(this.dialog);
      return;
    }
    if (!this.panels.has(view.id)) this.panels.set(view.id, new ViewPanel());
    const panel = this.panels.get(view.id);
    panel.update(view, store.views.length);
    if (!this.dialog.open) this.dialog.showModal();
    if (this.top === panel && panel.element.isConnected) return;
    this.top = panel;
    replace(this.dialog, panel.element);
    panel.focus();
  }
}

/** One view of the stack. */
class ViewPanel {
  constructor() {
    this.form = new Form();
    this.blocks = new BlockList("blocks view-blocks");
    this.head = h("header", { class: "dialog-head" });
    this.problem = h("div", { class: "view-problem", role: "alert", hidden: true, dataset: { testid: "view-error" } });
    this.body = h("div", { class: "dialog-body", tabindex: "-1" }, this.problem, this.blocks.element);
    this.foot = h("footer", { class: "dialog-foot" });
    this.element = h("form", { class: "view", novalidate: true, on: { submit: (event) => (event.preventDefault(), this.submit()) } }, this.head, this.body, this.foot);
  }

  update(view, depth) {
    const isNew = this.view !== view;
    this.view = view;
    if (isNew) {
      Object.assign(this.element.dataset, { viewId: view.id, callbackId: view.callback_id ?? "" });
      this.blocks.update(view.blocks ?? [], { surface: "modal", where: { view_id: view.id }, form: this.form });
      this.form.keepOnly(new Set((view.blocks ?? []).map((block) => block.block_id)));
    }
    this.drawHead(depth);
    this.drawFoot();
  }

  drawHead(depth) {
    const back = depth > 1 ? this.headButton("back", "Back", "view-back", () => this.leave()) : null;
    const close = this.headButton("close", "Close", "view-close", () => this.leaveAll());
    replace(this.head, back, h("h2", { id: "view-title", dataset: { testid: "view-title" } }, textOf(this.view.title, "")), h("span", { class: "spacer" }), close);
  }

  headButton(name, label, testid, onClick) {
    return h("button", { type: "button", class: "icon-button", "aria-label": label, dataset: { testid }, on: { click: onClick } }, icon(name, 20));
  }

  drawFoot() {
    const hasSubmit = Boolean(this.view.submit);
    const cancel = h("button", { type: "button", class: "button", dataset: { testid: "view-cancel" }, on: { click: () => this.leave() } }, textOf(this.view.close, hasSubmit ? "Cancel" : "Close"));
    this.button = hasSubmit ? h("button", { type: "submit", class: ["button", "button-primary", this.busy && "busy"], disabled: Boolean(this.busy), dataset: { testid: "view-submit" } }, h("span", {}, textOf(this.view.submit, "Submit"))) : null;
    replace(this.foot, cancel, this.button);
  }

  focus() {
    const wanted = this.element.querySelector("[data-autofocus]") ?? this.blocks.element.querySelector("input:not([type=file]), textarea") ?? this.button ?? this.body;
    wanted.focus({ preventScroll: true });
    this.body.scrollTop = 0;
  }

  setBusy(busy) {
    this.busy = busy;
    this.element.setAttribute("aria-busy", String(busy));
    this.blocks.element.inert = busy;
    this.drawFoot();
  }

  showProblem(text) {
    this.problem.hidden = !text;
    this.problem.textContent = text ?? "";
    if (text) this.problem.scrollIntoView({ block: "nearest" });
  }

  async submit() {
    if (this.busy || !this.view.submit) return;
    this.showProblem(null);
    const problems = this.form.problems();
    if (Object.keys(problems).length) {
      this.form.showErrors(problems);
      return;
    }
    this.setBusy(true);
    let answer;
    try {
      answer = await session.api.submitView(this.view.id, this.form.snapshot());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      answer = { ok: false, error: error.message };
    }
    this.setBusy(false);
    this.take(answer);
  }

  take(answer) {
    if (answer.errors && Object.keys(answer.errors).length) {
      const homeless = this.form.showErrors(answer.errors);
      if (homeless.length) this.showProblem(homeless.join(" "));
    } else if (answer.ok === false) this.showProblem(`We had some trouble connecting. Try again? (${answer.error ?? "no reason given"})`);
    else if (answer.closed) store.dropView(this.view.id);
    else if (answer.view) store.upsertView(answer.view);
  }

  leave() {
    store.dropView(this.view.id);
    attempt(session.api.closeView(this.view.id), "The form could not be closed");
  }

  leaveAll() {
    for (const view of [...store.views].reverse()) {
      store.dropView(view.id);
      attempt(session.api.closeView(view.id), "The form could not be closed");
    }
  }
}
