import type { ServiceCaller } from '#client/call/typed-client';
import type { Stdio } from '#client/git/git-streams';
import type { HooksPayload } from '#domain/hooks/payload';

export interface HookRun {
  readonly connection: ServiceCaller;
  readonly payload: HooksPayload;
  /** All variables as `NAME=value`. */
  readonly environmentVariables: string[];
  readonly pushOptions: string[];
  readonly args: readonly string[];
  readonly io: Stdio;
}

/**
 * Runs a hook on the server. @returns its exit status. @throws {Error} for the log, not for the
 * user.
 */
export type RunHook = (call: HookRun) => Promise<number>;

/** A failure with a message for the user. */
export class HookError extends Error {
  override readonly name = 'HookError';
  readonly clientMessage: string;

  constructor(message: string, clientMessage: string, cause: unknown) {
    super(message, { cause });
    this.clientMessage = clientMessage;
  }
}

/** Returns the push options that git passes to its hooks. */
export function pushOptionsOf(environment: Readonly<Record<string, string | undefined>>): string[] {
  const count = Number(environment.GIT_PUSH_OPTION_COUNT ?? 0);
  if (!Number.isInteger(count) || count < 0 || count > MAX_PUSH_OPTIONS) return [];
  return Array.from({ length: count }, (_, index) => environment[`GIT_PUSH_OPTION_${index}`] ?? '');
}

/** Limit above the size of any environment. */
const MAX_PUSH_OPTIONS = 100_000;
