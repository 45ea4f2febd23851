/** State of a server: the part of the JSON of `/debug/top` that the console shows. */
export interface ConsoleStatus {
  /** Empty for praefect, which runs no git. */
  readonly git_version: string;
  readonly uptime_seconds: number;
  readonly cpu_seconds: number;
  readonly memory_bytes: number;
  readonly call_count: number;
  readonly calls: readonly {
    readonly method: string;
    readonly age_ms: number;
    readonly waits_for?: string;
    readonly repository: string;
    readonly user: string;
    readonly client: string;
    readonly correlation_id: string;
    readonly processes: readonly {
      readonly pid: number;
      readonly command: string;
      readonly age_ms: number;
    }[];
    /** Storages of the nodes that serve a call of a cluster. */
    readonly nodes?: readonly string[];
  }[];
  readonly queues: readonly {
    readonly limit: string;
    readonly method: string;
    readonly repository: string;
    readonly running: number;
    readonly waiting: number;
    readonly max?: number;
  }[];
  readonly git: { readonly running_calls: number; readonly waiting_calls: number };
  readonly processes: readonly {
    readonly pid: number;
    readonly command: string;
    readonly age_ms: number;
    readonly directory: string;
  }[];
  readonly caches: Readonly<Record<string, number>>;
  readonly webhooks?: readonly {
    readonly name: string;
    readonly storage: string;
    readonly host: string;
    readonly delivered: number;
    readonly failed_attempts: number;
    readonly waiting: number;
    readonly behind: number;
    readonly last_problem: string;
    readonly dead_letters: readonly {
      readonly id: string;
      readonly repository: string;
      readonly reason: string;
      readonly time: string;
    }[];
  }[];
}

/** Returns what the server is doing now; `undefined` if it does not respond in time. */
export type StatusSource = () => ConsoleStatus | undefined | Promise<ConsoleStatus | undefined>;
