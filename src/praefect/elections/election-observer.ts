/** Notified of health checks, and of the elections of the strategies `local` and `sql`. */
export interface ElectionObserver {
  /** Called when a check of a node has ended. */
  checked(storage: string, result: { readonly isHealthy: boolean; readonly seconds: number }): void;
  /** Called when a virtual storage gets this primary; `undefined` for none. */
  elected(virtualStorage: string, storages: readonly string[], primary: string | undefined): void;
}
