// The conversation: what was said, who speaks, and the turn that runs. It tells `changed`.
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
const RETRY_MS = 3000;
// Pauses before a message is sent once more by itself: together as long as a killed server's conversations are kept for it.
const AGAIN_MS = [500, 2000, 5000];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Chat {
  constructor(identity, language, changed) {
    Object.assign(this, { identity, language, changed, announce: () => {} });
    this.clear();
  }

  clear() {
    this.listening?.abort();
    Object.assign(this, { messages: [], state: { state: "bot" }, turn: null, failed: null, loaded: false, listening: null, heard: 0 });
  }

  get id() {
    return memory.get("id");
  }

  call(method, path, body, options) {
    return api.call(method, `/${this.id}${path}`, body, { token: memory.get("token"), ...options });
  }

  // Restores what was said before; a conversation that is gone is forgotten.
  async restore() {
    if (this.loaded) return;
    this.loaded = true;
    if (!this.id) return this.changed();
    try {
      this.take(await (await this.call("GET", "")).json());
    } catch (error) {
      if ([401, 404].includes(error.status)) this.forget();
      else this.loaded = false;
    }
    this.changed();
  }

  take({ messages, ...state }) {
    this.messages = messages;
    this.settle(state);
  }

  settle(state) {
    const before = this.state.state;
    this.state = state;
    if (state.state === "deleted") return this.forget();
    if (before !== state.state) this.announce(state.state);
    if (["waiting", "agent"].includes(state.state)) this.listen();
  }

  forget() {
    memory.set({ id: null, token: null });
    this.clear();
    this.loaded = true;
  }

  async begin() {
    if (this.id) return;
    const opening = { language: this.language, ...(this.identity ? { identity: this.identity } : {}) };
    const { conversation_id: id, token } = await (await api.call("POST", "", opening)).json();
    memory.set({ id, token });
  }

  async send(text, messageId = newId()) {
    if (this.turn) return;
    this.failed = null;
    this.messages = this.messages.filter((m) => !(m.pending && m.message_id === messageId));
    const own = { role: "customer", text, message_id: messageId, pending: true };
    this.messages.push(own);
    for (const again of [...AGAIN_MS, 0]) {
      const error = await this.sent(own);
      if (!error) break;
      if (!error.passes || !again) {
        if ([401, 404].includes(error.status)) memory.set({ id: null, token: null });
        this.failed = own;
        break;
      }
      await pause(again);
    }
    this.turn = null;
    this.changed();
  }

  // Sends a message and hears the reply; what went wrong, if something did. The server answers no message twice.
  async sent(own) {
    this.turn = { stage: "", sentences: [] };
    this.changed();
    try {
      await this.begin();
      const response = await this.call("POST", "/messages", { text: own.text, message_id: own.message_id });
      for await (const event of api.events(response)) this.hear(event);
      if (!this.turn.ended) throw new Error("the reply broke off");
      own.pending = false;
    } catch (error) {
      error.passes ??= true; // nobody answered, or not to the end
      return error;
    }
  }

  hear({ name, data }) {
    if (name === "stage") this.turn.stage = data.stage;
    if (name === "sentence") {
      this.turn.sentences.push(data.joint + data.text);
      this.announce("sentence", data.text);
    }
    if (name === "reply") {
      if (!this.turn.sentences.length) this.announce("sentence", data.reply);
      this.messages.push({ id: data.message, role: "assistant", text: data.reply, reply: data });
      if (data.outcome === "handoff") this.settle({ state: "waiting" });
    }
    if (name === "state") this.settle(data);
    this.turn.ended = ["reply", "state"].includes(name);
    this.changed();
  }

  stop() {
    return this.call("POST", "/stop").catch(() => {});
  }

  // A person's messages, and who speaks; goes on after a lost connection.
  async listen() {
    if (this.listening) return;
    const stop = (this.listening = new AbortController());
    this.heard = Math.max(this.heard, ...this.messages.map((m) => m.id ?? 0));
    while (!stop.signal.aborted) {
      try {
        const headers = { "last-event-id": `${this.heard}` };
        const response = await this.call("GET", "/events", undefined, { headers, signal: stop.signal });
        for await (const { name, id, data } of api.events(response)) {
          if (name === "message") {
            this.heard = +id;
            this.messages.push(data);
            this.announce("message", data.text);
          }
          if (name === "state") this.settle(data);
          this.changed();
          if (["bot", "closed", "deleted"].includes(this.state.state)) stop.abort();
        }
      } catch {} // the connection was lost, or nobody is waited for any longer
      if (!stop.signal.aborted) await pause(RETRY_MS);
    }
    this.listening = null;
  }

  async person() {
    await this.begin();
    this.settle(await (await this.call("POST", "/handoff")).json());
    this.changed();
  }

  async ask(path, method = "POST") {
    this.settle(await (await this.call(method, path)).json());
    this.changed();
  }

  async rate(message, helpful, reason = "") {
    Object.assign(message, { helpful, reason });
    this.changed();
    await this.call("POST", "/rating", { message: message.id, helpful, reason });
  }

  async contact(email) {
    await this.call("PUT", "/contact", { email });
    this.state.contact = email;
    this.changed();
  }

  async erase() {
    if (this.id) await this.call("DELETE", "");
    this.forget();
    this.changed();
  }
}
