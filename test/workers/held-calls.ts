import { CallError, type Connection } from '#client/index';
import { repository } from './family.ts';

/** The RPC of {@link hold}. */
export const HELD_RPC = '/gitaly.CommitService/CheckObjectsExist';
export const IN_PROGRESS = 'gitaly_concurrency_limiting_in_progress';
export const QUEUED = 'gitaly_concurrency_limiting_queued';

/** A call that lasts until `end`. */
export interface Held {
  /** `OK`, or the code with which it failed. */
  readonly outcome: Promise<string>;
  failed: string | undefined;
  end(): void;
}

/** Starts a call that lasts until `end`. */
export function hold(connection: Connection): Held {
  const end = Promise.withResolvers<void>();
  async function* requests() {
    yield { repository, revisions: [Buffer.from('main')] };
    await end.promise;
  }
  const outcome = Array.fromAsync(connection.commit.checkObjectsExist(requests())).then(
    () => 'OK',
    (error: unknown) => {
      held.failed = error instanceof CallError ? error.code : String(error);
      return held.failed;
    },
  );
  const held: Held = { outcome, failed: undefined, end: () => end.resolve() };
  return held;
}
