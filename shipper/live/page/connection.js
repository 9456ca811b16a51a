// Keeps WebSockets open: connects again after a loss, with a back-off and jitter, and at once when somebody looks.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const REFUSALS = 4400; // codes from here on say that asking again would not help

export class Socket {
  #socket = null;
  #timer = 0;
  #failures = 0;
  #closed = false;
  #wake = () => this.#tryNow();

  // `on` has `message(parsed)`, and may have `open()`, `lost(everOpen)` and `refused(reason)`.
  constructor(path, on) {
    this.path = path;
    this.on = on;
    addEventListener("online", this.#wake);
    document.addEventListener("visibilitychange", this.#wake);
    this.#connect();
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    removeEventListener("online", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
    this.#socket?.close();
  }

  #connect() {
    let opened = false;
    const socket = new WebSocket(address(this.path));
    this.#socket = socket;
    socket.onopen = () => {
      opened = true;
      if (!this.#closed) this.on.open?.();
    };
    socket.onmessage = ({ data }) => {
      this.#failures = 0;
      if (!this.#closed) this.on.message(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => this.#ended(opened, code, reason);
  }

  #ended(opened, code, reason) {
    if (this.#closed) return;
    if (code >= REFUSALS) {
      this.close();
      this.on.refused?.(reason);
      return;
    }
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#connect(), pause(this.#failures));
    this.on.lost?.(opened);
  }

  #tryNow() {
    const waits = !this.#closed && this.#socket?.readyState === WebSocket.CLOSED;
    if (!waits || document.hidden) return;
    clearTimeout(this.#timer);
    this.#connect();
  }
}

function pause(failures) {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
  return longest / 2 + (Math.random() * longest) / 2;
}

function address(path) {
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}
