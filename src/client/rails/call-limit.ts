import { isLimited, type RequestStore } from './request-store.ts';
import { TooManyInvocationsError } from './too-many-invocations-error.ts';

/** Limit of calls in one request. @see GitLab: Gitlab::GitalyClient::MAXIMUM_GITALY_CALLS */
const MAX_CALLS = 30;

/**
 * Matches stack frames outside the application: Node's own, packages, and this library. Those of
 * `Promise.all` have an index, which would make the calls of a loop different ones.
 */
const FOREIGN_FRAME =
  /node:|[/\\]node_modules[/\\]|<anonymous>|^Promise\.\w+ \(index |[/\\]client[/\\]rails[/\\](?!.*\.test\.)/;

/**
 * Counts a call that is about to be made.
 *
 * @throws {TooManyInvocationsError} for the 31st call outside `allowNPlus1Calls`, if limits are
 *   enforced.
 */
export function countCall(
  store: RequestStore,
  options: { isEnforced: boolean; frames: readonly string[] },
): void {
  store.actualCalls++;
  if (!options.isEnforced || !isLimited(store)) return;
  store.permittedCalls++;
  const stack = options.frames.join('\n');
  store.stacks ??= new Map();
  const { stacks } = store;
  if (stack !== '') stacks.set(stack, (stacks.get(stack) ?? 0) + 1);
  if (store.permittedCalls > MAX_CALLS) throw new TooManyInvocationsError(store.actualCalls, stacks);
}

/** Returns the application's stack frames, innermost first. */
export function applicationFrames(): string[] {
  const lines = new Error('where').stack?.split('\n').slice(1) ?? [];
  return lines
    .map((line) => line.trim().replace(/^at (?:async )?/, ''))
    .filter((line) => !FOREIGN_FRAME.test(line));
}
