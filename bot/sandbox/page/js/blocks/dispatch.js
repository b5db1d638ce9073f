// When does using a control reach the bot at once? Always outside of input blocks; inside them only if asked for.

export const dispatches = (block) => block.type !== "input" || block.dispatch_action === true;

/** Does this text element send while typing, and on Enter? */
export function textDispatch(block, element) {
  if (!dispatches(block)) return { typing: false, enter: false };
  const on = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  return { typing: on.includes("on_character_entered"), enter: on.includes("on_enter_pressed") };
}
