/** The last hour of a server, which the console shows. */
export interface ConsoleHistory {
  readonly interval_seconds: number;
  /** The oldest first, at most an hour. */
  readonly samples: readonly {
    readonly time: string;
    readonly calls_per_second: number;
    readonly errors_per_second: number;
    readonly p50_ms: number;
    readonly p99_ms: number;
    readonly memory_bytes: number;
    readonly cpu_cores: number;
  }[];
  /** Calls that take at least this long are slow. */
  readonly slow_ms: number;
  /** The latest first. */
  readonly slow_calls: readonly {
    readonly time: string;
    readonly method: string;
    readonly duration_ms: number;
    readonly status: string;
    readonly repository: string;
    readonly user: string;
    readonly client: string;
    readonly correlation_id: string;
    readonly explanation: {
      readonly commands: readonly {
        readonly args: readonly string[];
        readonly wall_ms?: number;
        readonly cpu_ms?: number;
        readonly exit_code?: number;
      }[];
      readonly omitted_commands: number;
      readonly [field: string]: unknown;
    };
  }[];
}

/** Returns the last hour; `undefined` if the server keeps no history, or does not respond in time. */
export type HistorySource = () => Promise<ConsoleHistory | undefined>;
