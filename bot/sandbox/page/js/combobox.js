// A select box with a filter: for Block Kit's static, external, users, conversations and channels selects, single
// and multiple. Options are {value, label, description?, icon?} in groups {label, options}.

import { h, replace, uniqueId } from "./dom.js";
import { icon } from "./icons.js";
import { place } from "./popup.js";

/** One select box. `load(query)` resolves to groups; `onChange` gets the chosen options. */
export class Combobox {
  constructor({ load, selected = [], multiple = false, limit = Infinity, placeholder = "", label, remote = false, minQuery = 0, onChange, dataset }) {
    Object.assign(this, { load, multiple, limit, placeholder, remote, minQuery, onChange });
    this.selected = selected.filter(Boolean);
    this.active = -1;
    this.options = [];
    this.request = 0;
    const listId = uniqueId("options");
    this.input = h("input", {
      type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", "aria-autocomplete": "list", "aria-expanded": "false",
      "aria-controls": listId, "aria-label": label, dataset: { testid: "select-input" },
      on: { input: () => this.open(), keydown: (event) => this.onKey(event), blur: () => this.close(), click: () => this.toggle() },
    });
    this.tokens = h("span", { class: "tokens" });
    this.box = h("div", { class: "combo-box", on: { mousedown: (event) => this.focusFrom(event) } }, this.tokens, this.input, icon("down", 16));
    this.list = h("div", { class: "combo-list", role: "listbox", id: listId, popover: "manual", "aria-multiselectable": multiple ? "true" : undefined });
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.element = h("div", { class: ["combo", multiple && "combo-multiple"], dataset: { testid: "select", ...dataset } }, this.box, this.list);
    this.showSelected();
  }

  focusFrom(event) {
    if (event.target === this.input || event.target.closest("button")) return;
    event.preventDefault();
    this.input.focus();
    this.toggle();
  }

  showSelected() {
    if (this.multiple) {
      replace(this.tokens, this.selected.map((option) => this.token(option)));
      this.input.value = "";
      this.input.placeholder = this.selected.length ? "" : this.placeholder;
    } else {
      this.input.value = this.selected[0]?.label ?? "";
      this.input.placeholder = this.placeholder;
    }
  }

  token(option) {
    const remove = () => this.choose(option);
    const button = h("button", { type: "button", "aria-label": `Remove ${option.label}`, on: { click: remove } }, icon("close", 12));
    return h("span", { class: "token" }, option.label, button);
  }

  get isOpen() {
    return this.list.matches(":popover-open");
  }

  toggle() {
    if (this.isOpen) this.close();
    else {
      this.input.select();
      this.open("");
    }
  }

  async open(query = this.input.value) {
    this.request += 1;
    const request = this.request;
    if (!this.isOpen) {
      this.list.showPopover();
      this.input.setAttribute("aria-expanded", "true");
      window.addEventListener("resize", (this.reposition ??= () => place(this.list, this.box, { width: true })));
    }
    if (this.remote && query.length < this.minQuery) return this.showHint(`Type at least ${this.minQuery} characters.`);
    if (this.remote) {
      this.showHint("Loading …");
      await new Promise((resolve) => window.setTimeout(resolve, 150));
      if (request !== this.request) return undefined;
    }
    const groups = await this.load(query);
    if (request === this.request && this.isOpen) this.showGroups(groups, this.remote ? "" : query.trim().toLowerCase());
    return undefined;
  }

  showHint(text) {
    this.options = [];
    replace(this.list, h("div", { class: "combo-hint", text }));
    place(this.list, this.box, { width: true });
  }

  showGroups(groups, filter) {
    const matches = (option) => !filter || `${option.label} ${option.description ?? ""}`.toLowerCase().includes(filter);
    this.options = [];
    const nodes = groups.flatMap((group) => {
      const options = group.options.filter(matches);
      if (!options.length) return [];
      return [group.label ? h("div", { class: "combo-group", text: group.label }) : null, ...options.map((option) => this.optionNode(option))];
    });
    if (!this.options.length) return this.showHint("Nothing fits.");
    replace(this.list, nodes);
    place(this.list, this.box, { width: true });
    const chosen = this.options.findIndex(({ option }) => this.isSelected(option));
    this.highlight(Math.max(0, chosen));
    return undefined;
  }

  optionNode(option) {
    const index = this.options.length;
    const node = h(
      "div",
      {
        class: "combo-option", role: "option", id: uniqueId("option"), "aria-selected": String(this.isSelected(option)),
        dataset: { value: option.value, testid: "option" }, on: { click: () => this.choose(option), mousemove: () => this.highlight(index, false) },
      },
      option.icon ?? null,
      h("span", { class: "menu-text" }, h("span", {}, option.label), option.description && h("small", {}, option.description)),
      icon("check", 16),
    );
    this.options.push({ option, node });
    return node;
  }

  isSelected(option) {
    return this.selected.some((chosen) => chosen.value === option.value);
  }

  highlight(index, scroll = true) {
    this.options[this.active]?.node.classList.remove("active");
    this.active = index;
    const node = this.options[index]?.node;
    node?.classList.add("active");
    if (scroll) node?.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", node?.id ?? "");
  }

  choose(option) {
    if (!this.multiple) this.selected = [option];
    else if (this.isSelected(option)) this.selected = this.selected.filter((chosen) => chosen.value !== option.value);
    else if (this.selected.length < this.limit) this.selected = [...this.selected, option];
    this.close();
    this.showSelected();
    this.onChange(this.selected);
  }

  onKey(event) {
    const last = this.options.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!this.isOpen) this.open("");
      else this.highlight(event.key === "ArrowDown" ? Math.min(last, this.active + 1) : Math.max(0, this.active - 1));
    } else if (event.key === "Enter") {
      if (this.isOpen && this.options[this.active]) this.choose(this.options[this.active].option);
    } else if (event.key === "Escape" && this.isOpen) this.close();
    else if (event.key === "Backspace" && this.multiple && this.input.value === "" && this.selected.length) this.choose(this.selected.at(-1));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  close() {
    this.request += 1;
    if (!this.isOpen) return;
    this.list.hidePopover();
    window.removeEventListener("resize", this.reposition);
    this.input.setAttribute("aria-expanded", "false");
    this.showSelected();
  }
}
