import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';

const WAKE = 'praefect: job queued';

/** Called with each storage that got a replication job. */
export type WakeReplicator = (virtualStorage: string, target: string) => void;

interface QueuedFor {
  readonly virtualStorage: string;
  readonly target: string;
}

/** Returns the function that notifies the replicator, which runs in the supervisor. */
export function remoteWake(link: Link): WakeReplicator {
  return (virtualStorage, target) => link.tell(WAKE, { virtualStorage, target } satisfies QueuedFor);
}

/** Passes the notifications of workers on. */
export function receiveWakes(desk: Desk, wake: WakeReplicator): void {
  desk.onTold(WAKE, (value) => {
    const { target, virtualStorage } = value as QueuedFor; // from `remoteWake`
    wake(virtualStorage, target);
  });
}
