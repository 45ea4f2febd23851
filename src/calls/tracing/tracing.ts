import type { ProcessStart, ProcessStats } from '#git/command/process/start-process';
import type { ServerCall, ServerInterceptor } from '#rpc/server/server-call';

/** Spans of a server. Those of commands, waits and hooks belong to the span of their call. */
export interface Tracing extends AsyncDisposable {
  /** Makes the span of each call, in the trace of the client. */
  readonly interceptor: ServerInterceptor;
  /** Makes the span of the start of the server. */
  started(startedAtMs: number): void;
  /** Starts the span of a command. @returns the function to call at its end. */
  command(call: ServerCall | undefined, start: ProcessStart): ((stats: ProcessStats) => void) | undefined;
  /** Starts the span of a wait for a limit. @returns the function to call at its end. */
  wait(call: ServerCall, limit: string): () => void;
  /** Starts the span of a hook. @returns the function to call at its end. */
  hook(call: ServerCall | undefined, name: string): ((error?: unknown) => void) | undefined;
  /** Returns environment variables by which a child continues the trace of its call. */
  environment(call: ServerCall): Readonly<Record<string, string>>;
}
