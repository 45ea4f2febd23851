import { object, text } from '#base/shape';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, protocol, remote, told } from '#workers/protocol';

/** Workers report the storages that got replication jobs. */
const QUEUED = protocol('replication', { queued: told(object({ virtualStorage: text, target: text })) });

/** Called with each storage that got a replication job. */
export type WakeReplicator = (virtualStorage: string, target: string) => void;

/** Returns the function that notifies the replicator, which runs in the supervisor. */
export function remoteWake(link: Link): WakeReplicator {
  const { queued } = remote(link, QUEUED);
  return (virtualStorage, target) => queued({ virtualStorage, target });
}

/** Passes the notifications of workers on. */
export function receiveWakes(desk: Desk, wake: WakeReplicator): void {
  answer(desk, QUEUED, { queued: ({ target, virtualStorage }) => wake(virtualStorage, target) });
}
