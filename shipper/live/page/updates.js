// Hears what changes: over a WebSocket, or by asking for the whole state where none can be had; knows when it is stale.

import { Socket } from "./connection.js";

const ASK_AGAIN_MS = 2000;
const SILENT_MS = 12_000; // the service says something at least every 5 s
const GRACE_MS = 3000;

export class Updates {
  #heardAt = null;
  #asking = false;
  #answered = false; // the last question was
  #lockedOut = false;

  // `changed(names)` is called with the names of the metrics that differ.
  constructor(state, changed) {
    this.state = state;
    this.changed = changed;
    this.socket = new Socket("api/updates", {
      message: (message) => this.#heard(message),
      lost: () => this.#ask(),
    });
  }

  // One of: connecting, live, asking, reconnecting, stale, locked; with the moment of the last news.
  status() {
    const silent = this.#heardAt === null ? Infinity : Date.now() - this.#heardAt;
    const since = this.#heardAt === null ? null : this.#heardAt / 1000;
    if (this.#lockedOut) return { kind: "locked", since };
    if (since === null) return { kind: "connecting", since };
    const heard = this.socket.open || this.#answered;
    if (silent > (heard ? SILENT_MS : GRACE_MS)) return { kind: "stale", since };
    if (this.socket.open) return { kind: "live", since };
    return { kind: this.#answered ? "asking" : "reconnecting", since };
  }

  #heard(message) {
    this.#heardAt = Date.now();
    this.#lockedOut = false;
    this.changed(message.state ? this.state.replace(message.state) : this.state.merge(message));
  }

  // Ask as long as answers come; the next failure of the socket begins it again.
  async #ask() {
    if (this.#asking) return;
    this.#asking = true;
    do {
      this.#answered = await this.#answers();
      if (this.#answered) await rest(ASK_AGAIN_MS);
    } while (this.#answered && !this.socket.open);
    this.#asking = this.#answered = false;
  }

  async #answers() {
    try {
      const answer = await fetch("api/state", { cache: "no-store" });
      this.#lockedOut = answer.status === 401 || answer.status === 403;
      if (!answer.ok) return false;
      this.#heard({ state: await answer.json() });
      return true;
    } catch {
      return false; // nobody there: `status` says so when it has lasted
    }
  }
}

function rest(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
