// What happens when a person uses a control of a block: confirm, show that it is working, tell the workspace.

import { attempt } from "./toast.js";
import { askConfirm } from "./confirm.js";
import { session } from "./session.js";

/**
 * Send a block action. `context` says where the block is shown ({surface, where, form}), `payload` what was chosen.
 * Resolves to true when the action was delivered.
 */
export async function act(context, block, element, payload, control) {
  if (element.confirm && !(await askConfirm(element.confirm))) return false;
  control?.classList.add("busy");
  control?.setAttribute("aria-busy", "true");
  const action = { action_id: element.action_id, block_id: block.block_id, ...context.where, ...payload };
  const answer = await attempt(session.api.act({ ...action, values: context.form.snapshot() }), "That did not work");
  control?.classList.remove("busy");
  control?.removeAttribute("aria-busy");
  return answer !== null;
}
