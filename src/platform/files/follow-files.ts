import type { ReloadedFiles } from './reloaded-files.ts';

/** Files whose changes are applied while a server runs, until it is disposed. */
export interface FollowedFiles extends Disposable {
  /** Checks the files now. Resolves when a change has been applied; never rejects. */
  renew(): Promise<void>;
}

/** Interval between checks. A check costs a `stat` of each file. */
const LOOK_EVERY_MS = 5000;

/**
 * Calls `apply` with each new value of the files, within seconds of the change or at once on
 * `renew`. ReloadedFiles reports unusable files through its `onProblem`. Does not keep the process
 * alive.
 */
export async function followFiles<T>(
  files: ReloadedFiles<T>,
  apply: (value: T) => void,
  { lookEveryMs = LOOK_EVERY_MS }: { lookEveryMs?: number } = {},
): Promise<FollowedFiles> {
  let applied = await files.current();
  let isOver = false;
  const renew = async (): Promise<void> => {
    const newest = await files.refreshed();
    if (newest === applied || isOver) return;
    applied = newest;
    try {
      apply(newest);
    } catch (error) {
      files.report(error);
    }
  };
  const timer = setInterval(() => void renew(), lookEveryMs).unref();
  return {
    renew,
    [Symbol.dispose]: () => {
      isOver = true;
      clearInterval(timer);
    },
  };
}
