/** Counts connections, in total and by address. */
export class ConnectionLimit {
  readonly #limits: { readonly maxConnections: number; readonly maxConnectionsPerAddress: number };
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(limits: { readonly maxConnections: number; readonly maxConnectionsPerAddress: number }) {
    this.#limits = limits;
  }

  /**
   * Counts a new connection, unless a limit is reached, and returns whether it was counted. A
   * counted connection must leave.
   */
  enter(address: string): boolean {
    const count = this.#byAddress.get(address) ?? 0;
    if (this.#total >= this.#limits.maxConnections || count >= this.#limits.maxConnectionsPerAddress)
      return false;
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
