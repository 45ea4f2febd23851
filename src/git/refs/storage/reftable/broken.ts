import { FallBackToGit } from '#git/command/in-process';

/** Returns the failure at data that git would not write. The reason is constant, for the log. */
export function broken(what: string): FallBackToGit {
  return new FallBackToGit(`reftable: ${what}`);
}

/** Signals that a table was removed, because git has compacted the stack. */
export class TableVanished extends Error {
  override readonly name = 'TableVanished';
}
