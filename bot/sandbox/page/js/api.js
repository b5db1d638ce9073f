// Talks to the workspace's server: calls over HTTP, and the live feed over a WebSocket that comes back by itself.

/** What a person did could not be delivered to the workspace's server. */
export class ApiError extends Error {}

/** Calls for one person. Answers are the server's JSON; {ok: false, error} is an answer, not an exception. */
export class Api {
  constructor(user) {
    this.user = user;
  }

  async state() {
    return request(`/sandbox/state${this.user ? `?user=${encodeURIComponent(this.user)}` : ""}`);
  }

  post(path, body = {}) {
    return request(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: this.user, ...body }),
    });
  }

  sendMessage(message) {
    return this.post("/sandbox/messages", message);
  }

  runCommand(command) {
    return this.post("/sandbox/commands", command);
  }

  act(action) {
    return this.post("/sandbox/actions", action);
  }

  submitView(id, values) {
    return this.post(`/sandbox/views/${encodeURIComponent(id)}/submit`, { values });
  }

  closeView(id) {
    return this.post(`/sandbox/views/${encodeURIComponent(id)}/close`);
  }

  shortcut(callbackId, where = {}) {
    return this.post("/sandbox/shortcuts", { callback_id: callbackId, ...where });
  }

  openHome() {
    return this.post("/sandbox/home");
  }

  stopStream(channel, ts) {
    return this.post("/sandbox/streams/stop", { channel, ts });
  }

  react(channel, ts, name) {
    return this.post("/sandbox/reactions", { channel, ts, name });
  }

  options(query) {
    return request(`/sandbox/options?${new URLSearchParams({ user: this.user, ...query })}`);
  }

  journal(after = 0) {
    return request(`/sandbox/journal?after=${after}`);
  }

  addFault(fault) {
    return this.post("/sandbox/faults", fault);
  }

  clearFaults() {
    return request("/sandbox/faults", { method: "DELETE" });
  }

  /** Upload one file; returns {ok, id}. */
  uploadFile(file) {
    const query = new URLSearchParams({ user: this.user, name: file.name });
    return request(`/sandbox/files?${query}`, {
      method: "POST",
      headers: { "Content-Type": file.type || "application/octet-stream" },
      body: file,
    });
  }
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw new ApiError("The workspace's server cannot be reached.", { cause: error });
  }
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(`The workspace's server answered ${response.status} to ${path}.`, { cause: error });
  }
}

/** The live feed. `onFrame` gets each event, `onState` "open" or "lost". */
export class Live {
  constructor(user, { onFrame, onState }) {
    this.user = user;
    this.onFrame = onFrame;
    this.onState = onState;
    this.attempt = 0;
    this.closed = false;
    this.connect();
  }

  connect() {
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${window.location.host}/sandbox/live?user=${encodeURIComponent(this.user)}`);
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.attempt = 0;
      this.onState("open");
    });
    socket.addEventListener("message", (event) => {
      if (!this.closed) this.onFrame(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      if (this.closed) return;
      this.onState("lost");
      this.attempt += 1;
      this.timer = window.setTimeout(() => this.connect(), Math.min(8000, 250 * 2 ** this.attempt));
    });
  }

  close() {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.socket.close();
  }
}
