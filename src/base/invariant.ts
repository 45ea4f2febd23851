import { channel } from 'node:diagnostics_channel';
import { GitalyError } from './gitaly-error.ts';

/** Names of the checks of the running code; values of a metric's label. */
export const INVARIANTS = [
  'cache-generation',
  'journal-order',
  'pack-entries',
  'process-message',
  'vote-weights',
] as const;

export type InvariantName = (typeof INVARIANTS)[number];

export interface Violation {
  readonly invariant: InvariantName;
  /** Description of the fault: a constant text, without values of the call. */
  readonly what: string;
}

const violations = channel('gitaly-ts.invariant');

/** A mistake in this program that was noticed before its effects. The call ends with INTERNAL. */
export class InvariantError extends GitalyError {
  override readonly name = 'InvariantError';

  constructor({ invariant, what }: Violation) {
    super('INTERNAL', `broken invariant: ${what}`, { metadata: { invariant } });
  }
}

/**
 * Ends the call if a condition does not hold that holds for every input. The listeners of
 * {@link onViolation} receive it, also if the error is caught.
 *
 * @throws {InvariantError}
 */
export function invariant(condition: boolean, name: InvariantName, what: string): asserts condition {
  if (!holds(condition, name, what)) throw new InvariantError({ invariant: name, what });
}

/** Reports a violation as {@link invariant} does, where the caller can go on without what is wrong. */
export function holds(condition: boolean, name: InvariantName, what: string): boolean {
  if (!condition) violations.publish({ invariant: name, what } satisfies Violation);
  return condition;
}

/** Calls a function at each violation in this process until it is disposed. */
export function onViolation(listener: (violation: Violation) => void): Disposable {
  // Only `holds` publishes there.
  const receive = (message: unknown): void => listener(message as Violation);
  violations.subscribe(receive);
  return { [Symbol.dispose]: () => void violations.unsubscribe(receive) };
}
