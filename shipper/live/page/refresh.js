// Asks for something again every few seconds while somebody looks at it.

const PERIOD_MS = 3000;

export class Refresh {
  #timer = 0;
  #turn = 0;

  // `show(answer)` gets what came; `fail(words, answer)` why nothing did.
  constructor({ show, fail }) {
    this.show = show;
    this.fail = fail;
  }

  // Ask for `path` now and from now on, instead of what was asked for before.
  start(path) {
    this.stop();
    this.#ask(path, this.#turn);
  }

  stop() {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  async #ask(path, turn) {
    if (!document.hidden) await this.#once(path, turn);
    if (turn === this.#turn) this.#timer = setTimeout(() => this.#ask(path, turn), PERIOD_MS);
  }

  async #once(path, turn) {
    let words = "";
    let answer = null;
    try {
      const response = await fetch(path, { cache: "no-store" });
      answer = await response.json();
      if (!response.ok) words = answer.error ?? `the service answered ${response.status}`;
    } catch {
      words = "the service does not answer";
    }
    if (turn !== this.#turn) return; // meanwhile something else is looked at
    if (words) this.fail(words);
    else this.show(answer);
  }
}
