/** Notified of health checks, and of the elections of the strategies `local` and `sql`. */
export interface ElectionObserver {
  /** A check of a node has ended. */
  checked(storage: string, result: { readonly isHealthy: boolean; readonly seconds: number }): void;
  /** A virtual storage has this primary now; `undefined` for none. */
  elected(virtualStorage: string, storages: readonly string[], primary: string | undefined): void;
}
