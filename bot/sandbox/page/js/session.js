// Who is looking at the page right now: the calls of that person. Set by main.js whenever the person is switched.

export const session = { api: null };

/** An address on this workspace's file host, read as the person who is looking. */
export function asReader(url) {
  if (!url) return url;
  const parsed = new URL(url, window.location.origin);
  if (parsed.origin !== window.location.origin || !parsed.pathname.startsWith("/files-pri/")) return url;
  parsed.searchParams.set("user", session.api.user);
  return parsed.href;
}
