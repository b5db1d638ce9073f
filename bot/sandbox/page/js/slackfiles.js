// Pictures in blocks may name a file of the workspace instead of an address: find that file among the messages.

import { store } from "./store.js";

/** The address of a slack_file object ({id} or {url}), or null. */
export function slackFileUrl(reference) {
  if (!reference) return null;
  if (reference.url) return reference.url;
  for (const messages of store.messages.values()) {
    for (const message of messages.values()) {
      const found = message.files?.find((file) => file.id === reference.id);
      if (found) return found.url_private;
    }
  }
  return `/files-pri/${encodeURIComponent(store.workspace.team_id)}-${encodeURIComponent(reference.id)}/image`;
}
