import { isMessage, type Message } from '@bufbuild/protobuf';
import { WriteRefRequestSchema } from '#wire/gen/repository_pb';
import type { LockedReferences } from '../transactions/conflict-queue.ts';

/**
 * SHA-1 or SHA-256, in hex. Each node resolves other revisions itself, so their references are
 * locked too.
 */
const OBJECT_ID = /^(?:[\da-f]{40}|[\da-f]{64})$/i;
const ZEROS = /^0*$/;

/**
 * Returns the references that a write locks on its nodes, as far as the request names them. Returns
 * `undefined` if it may lock others: a deletion locks the file of packed references, and a write of
 * a branch also locks a HEAD that names it.
 */
export function lockedReferences(request: Message): LockedReferences {
  if (!isMessage(request, WriteRefRequestSchema)) return undefined;
  const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const ref = textOf(request.ref);
  const [revision, oldRevision] = [textOf(request.revision), textOf(request.oldRevision)];
  const isObject = OBJECT_ID.test(revision) && !ZEROS.test(revision);
  const isChecked = oldRevision === '' || OBJECT_ID.test(oldRevision);
  return ref.startsWith('refs/') && isObject && isChecked ? [ref] : undefined;
}
