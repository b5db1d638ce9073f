// The values a person has put into the controls of one view or one message, and the problems found in them.

const EMPTY = (value) => value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);

/** Values by block and action; survives re-rendering of the blocks. */
export class Form {
  constructor() {
    this.values = new Map();
    this.controls = new Map();
    this.errors = new Map();
  }

  key(block, element) {
    return `${block.block_id ?? ""}\n${element.action_id ?? ""}`;
  }

  /** The value to show: what was typed, else what the element starts with. */
  read(block, element, initial) {
    const key = this.key(block, element);
    if (!this.values.has(key)) this.values.set(key, { block, element, value: initial });
    const entry = this.values.get(key);
    entry.block = block;
    entry.element = element;
    return entry.value;
  }

  write(block, element, value) {
    this.values.set(this.key(block, element), { block, element, value });
    this.setError(block.block_id, null);
  }

  /** Forget controls that the shown blocks no longer have. */
  keepOnly(blockIds) {
    for (const [key, { block }] of this.values) if (!blockIds.has(block.block_id)) this.values.delete(key);
    for (const id of [...this.controls.keys()]) if (!blockIds.has(id)) this.controls.delete(id);
  }

  /** {block_id: {action_id: value}} as the server wants it. */
  snapshot() {
    const result = {};
    for (const { block, element, value } of this.values.values()) {
      if (!block.block_id || !element.action_id) continue;
      (result[block.block_id] ??= {})[element.action_id] = value ?? null;
    }
    return result;
  }

  /** An input block tells how to show its problem: show(text or null) and focus(). */
  register(blockId, control) {
    this.controls.set(blockId, control);
    if (this.errors.has(blockId)) control.show(this.errors.get(blockId));
  }

  setError(blockId, text) {
    if (text) this.errors.set(blockId, text);
    else if (!this.errors.delete(blockId)) return;
    this.controls.get(blockId)?.show(text);
  }

  /** Show the server's problems; returns those whose block is not on the form. */
  showErrors(errors) {
    const homeless = [];
    for (const [blockId, text] of Object.entries(errors)) {
      this.setError(blockId, text);
      if (!this.controls.has(blockId)) homeless.push(text);
    }
    this.controls.get(Object.keys(errors).find((id) => this.controls.has(id)))?.focus();
    return homeless;
  }

  /** The checks that a Slack client makes before it submits. */
  problems() {
    const found = {};
    for (const { block, element, value } of this.values.values()) {
      if (block.type !== "input") continue;
      const text = problemOf(block, element, value);
      if (text) found[block.block_id] = text;
    }
    return found;
  }
}

function problemOf(block, element, value) {
  if (EMPTY(value)) return block.optional ? null : "Please complete this required field.";
  if (element.min_length && value.length < element.min_length) return `At least ${element.min_length} characters.`;
  if (element.max_length && value.length > element.max_length) return `At most ${element.max_length} characters.`;
  if (element.type === "number_input") return numberProblem(element, value);
  if (element.type === "email_text_input" && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(value)) return "Please enter an email address.";
  if (element.type === "url_text_input" && !/^https?:\/\/[^\s]+$/.test(value)) return "Please enter an address that starts with http:// or https://.";
  return null;
}

function numberProblem(element, value) {
  const number = Number(value);
  if (Number.isNaN(number)) return "Please enter a number.";
  if (!element.is_decimal_allowed && !Number.isInteger(number)) return "Please enter a whole number.";
  if (element.min_value !== undefined && number < Number(element.min_value)) return `The smallest value is ${element.min_value}.`;
  if (element.max_value !== undefined && number > Number(element.max_value)) return `The largest value is ${element.max_value}.`;
  return null;
}
