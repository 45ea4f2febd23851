export interface ConnectionLimits {
  readonly maxConnections: number;
  /** By default there is no separate limit. */
  readonly maxConnectionsPerAddress?: number;
}

/** Counts connections, in total and by address. */
export class ConnectionLimit {
  readonly #maxConnections: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor({ maxConnections, maxConnectionsPerAddress = maxConnections }: ConnectionLimits) {
    this.#maxConnections = maxConnections;
    this.#maxPerAddress = maxConnectionsPerAddress;
  }

  /**
   * Counts a new connection, unless a limit is reached, and returns whether it was counted. A
   * counted connection must leave.
   */
  enter(address: string): boolean {
    const count = this.#byAddress.get(address) ?? 0;
    if (this.#total >= this.#maxConnections || count >= this.#maxPerAddress) return false;
    this.#total++;
    this.#byAddress.set(address, count + 1);
    return true;
  }

  leave(address: string): void {
    const count = this.#byAddress.get(address) ?? 0;
    this.#total--;
    if (count > 1) this.#byAddress.set(address, count - 1);
    else this.#byAddress.delete(address);
  }
}
