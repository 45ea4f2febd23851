import type { RequestStore } from './request-store.ts';
import { TooManyInvocationsError } from './too-many-invocations-error.ts';

/** Calls of one request that are no cause for concern. @see GitLab: Gitlab::GitalyClient::MAXIMUM_GITALY_CALLS */
const MAX_CALLS = 30;

/** Frames that are not the application's: Node's own, packages, and this library. */
const FOREIGN_FRAME = /node:|[/\\]node_modules[/\\]|<anonymous>|[/\\]client[/\\]rails[/\\](?!.*\.test\.)/;

/**
 * Counts a call that is about to be made.
 *
 * @throws {TooManyInvocationsError} for the 31st that is not inside of `allowNPlus1Calls`, where limits are enforced.
 */
export function countCall(store: RequestStore, options: { isEnforced: boolean; frames: readonly string[] }): void {
  store.actualCalls++;
  if (!options.isEnforced || store.allowDepth > 0) return;
  store.permittedCalls++;
  const stack = options.frames.join('\n');
  if (stack !== '') store.stacks.set(stack, (store.stacks.get(stack) ?? 0) + 1);
  if (store.permittedCalls > MAX_CALLS) throw new TooManyInvocationsError(store.actualCalls, store.stacks);
}

/** The frames of the application that lead here, innermost first. */
export function applicationFrames(): string[] {
  const lines = new Error('where').stack?.split('\n').slice(1) ?? [];
  return lines.map((line) => line.trim().replace(/^at (?:async )?/, '')).filter((line) => !FOREIGN_FRAME.test(line));
}
