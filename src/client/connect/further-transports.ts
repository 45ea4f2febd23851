import type { Transport } from './transport.ts';

/** A further connection is opened when each open one has this many running calls. */
const BUSY_CALLS = 16;
/** The time for which they must have that many. */
const BUSY_MS = 200;
/** If all connections have fewer running calls than this, one of them is not needed. */
const NEEDED_CALLS = BUSY_CALLS / 2;
/** Time after which a connection that is not needed is closed. */
const IDLE_MS = 30_000;
/** Pause after an attempt to connect that failed. */
const PAUSE_MS = 1000;

export interface FurtherTransportsOptions {
  /** Limit of further connections. */
  readonly max: number;
  readonly open: () => Promise<Transport>;
}

/**
 * Connections to an endpoint in addition to its first one. A server reads each connection in one
 * process, and the calls of one connection wait for each other's bytes. So more are opened while
 * many calls run at once, and closed when fewer suffice.
 */
export class FurtherTransports {
  readonly #options: FurtherTransportsOptions;
  /** Connections that accept calls, the oldest first. Some may already be draining. */
  readonly #ready: Transport[] = [];
  /** All connections that are not closed, including those that only finish their calls. */
  readonly #open = new Set<Transport>();
  #busySinceMs: number | undefined;
  #pausedUntilMs = 0;
  #isOpening = false;
  #isNeeded = false;
  #isClosed = false;
  #idleCheck: NodeJS.Timeout | undefined;

  constructor(options: FurtherTransportsOptions) {
    this.#options = options;
  }

  /** Returns the connection with the fewest running calls. May start to open a further one. */
  choose(first: Transport): Transport {
    let chosen = first;
    for (const transport of this.#ready)
      if (transport.calls < chosen.calls && transport.isOpen) chosen = transport;
    if (chosen.calls >= NEEDED_CALLS) this.#isNeeded = true;
    if (chosen.calls < BUSY_CALLS) this.#busySinceMs = undefined;
    else this.#openIfBusy();
    return chosen;
  }

  /** Removes and returns a connection that is to replace the first one. */
  take(): Transport | undefined {
    this.#removeDraining();
    const transport = this.#ready.shift();
    if (transport !== undefined) this.#open.delete(transport);
    return transport;
  }

  /** Stops opening connections. Returns the open ones, which the caller has to close. */
  shutDown(): readonly Transport[] {
    this.#isClosed = true;
    this.#ready.length = 0;
    clearInterval(this.#idleCheck);
    return [...this.#open];
  }

  #openIfBusy(): void {
    const nowMs = performance.now();
    this.#busySinceMs ??= nowMs;
    if (nowMs - this.#busySinceMs < BUSY_MS || nowMs < this.#pausedUntilMs || this.#isOpening) return;
    this.#removeDraining();
    if (this.#ready.length >= this.#options.max || this.#isClosed) return;
    void this.#connect();
  }

  async #connect(): Promise<void> {
    this.#isOpening = true;
    try {
      const transport = await this.#options.open();
      if (this.#isClosed) return void (await transport.destroy());
      this.#open.add(transport);
      this.#ready.push(transport);
      void transport.closed.then(() => this.#open.delete(transport));
      this.#idleCheck ??= setInterval(() => this.#closeIdle(), IDLE_MS).unref();
    } catch {
      this.#pausedUntilMs = performance.now() + PAUSE_MS; // until then, calls use the open connections
    } finally {
      this.#isOpening = false;
      this.#busySinceMs = undefined;
    }
  }

  #closeIdle(): void {
    this.#removeDraining();
    if (!this.#isNeeded) this.#ready.pop()?.drain();
    this.#isNeeded = false;
    if (this.#ready.length > 0) return;
    clearInterval(this.#idleCheck);
    this.#idleCheck = undefined;
  }

  #removeDraining(): void {
    for (let at = this.#ready.length - 1; at >= 0; at--)
      if (this.#ready[at]?.isOpen !== true) this.#ready.splice(at, 1);
  }
}
