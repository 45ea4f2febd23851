import { ConnectionError } from './connection-error.ts';

/** Limit of pings without a response, as in `node:http2`. */
const MAX_OUTSTANDING = 10;
const PING_BYTES = 8;

interface Ping {
  readonly payload: Buffer;
  readonly sentAtMs: number;
  readonly resolve: (durationMs: number) => void;
  readonly reject: (error: unknown) => void;
}

/** The pings of one side of a connection. Responses arrive in the order of the pings. */
export class OutgoingPings {
  readonly #send: (payload: Buffer) => void;
  readonly #outstanding: Ping[] = [];
  #sent = 0;

  constructor(send: (payload: Buffer) => void) {
    this.#send = send;
  }

  /**
   * Measures a round trip in milliseconds. Rejects when too many wait, or when `fail` is called.
   */
  ping(): Promise<number> {
    if (this.#outstanding.length >= MAX_OUTSTANDING)
      return Promise.reject(new Error('the peer has not responded to earlier pings'));
    return new Promise((resolve, reject) => {
      const payload = Buffer.alloc(PING_BYTES);
      payload.writeUInt32BE(this.#sent++ >>> 0, PING_BYTES - 4);
      this.#outstanding.push({ payload, sentAtMs: performance.now(), resolve, reject });
      this.#send(payload);
    });
  }

  /** @throws {ConnectionError} for a response to no ping. */
  onResponse(payload: Buffer): void {
    const ping = this.#outstanding.shift();
    if (ping === undefined || !ping.payload.equals(payload))
      throw new ConnectionError('PROTOCOL_ERROR', 'a response to a ping that was not sent');
    ping.resolve(performance.now() - ping.sentAtMs);
  }

  /** Rejects the pings without a response. */
  fail(error: unknown): void {
    for (const { reject } of this.#outstanding.splice(0)) reject(error);
  }
}
