import type { ServiceCaller } from '#client/call/typed-client';
import type { Stdio } from '#client/git/git-streams';
import type { HooksPayload } from '#domain/hooks/payload';

/** One run of a hook by git. */
export interface HookCall {
  readonly connection: ServiceCaller;
  readonly payload: HooksPayload;
  /** `NAME=value`, all of them. */
  readonly environmentVariables: string[];
  readonly pushOptions: string[];
  readonly args: readonly string[];
  readonly io: Stdio;
}

/** Runs a hook on the server. @returns its exit status. @throws {Error} what goes to the log, not to the user. */
export type RunHook = (call: HookCall) => Promise<number>;

/** A failure of which the user is told more than that there was one. */
export class HookError extends Error {
  override readonly name = 'HookError';
  readonly clientMessage: string;

  constructor(message: string, clientMessage: string, cause: unknown) {
    super(message, { cause });
    this.clientMessage = clientMessage;
  }
}

/** The options of a push, as git hands them to its hooks. */
export function pushOptionsOf(environment: Readonly<Record<string, string | undefined>>): string[] {
  const count = Number(environment.GIT_PUSH_OPTION_COUNT ?? 0);
  if (!Number.isInteger(count) || count < 0 || count > MAX_PUSH_OPTIONS) return [];
  return Array.from({ length: count }, (_, index) => environment[`GIT_PUSH_OPTION_${index}`] ?? '');
}

/** Nobody's environment holds more. */
const MAX_PUSH_OPTIONS = 100_000;
