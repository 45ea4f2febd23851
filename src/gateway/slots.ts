/** Bounds concurrent work, in total and per client. */
export interface Slots {
  take(address: string | undefined): ClientSlot | Promise<ClientSlot>;
}

/** A slot, which is released by disposing it, or the limit that was reached. */
export type ClientSlot = Disposable | 'client' | 'total';
