import { isUtf8 } from 'node:buffer';
import type { ChangeUser } from '#base/change-user';
import type { RepositoryEvent } from './event.ts';

/** Version of {@link EventPayload}. Fields may be added to a version; other changes raise it. */
export const PAYLOAD_VERSION = 1;

/** An event as JSON, for webhooks and server-sent events. docs/event.schema.json describes it. */
export interface EventPayload {
  readonly version: typeof PAYLOAD_VERSION;
  /** Unique: the storage and the sequence. */
  readonly id: string;
  readonly type: RepositoryEvent['kind'];
  readonly sequence: number;
  readonly storage: string;
  /** Relative path; empty if the event is about all repositories. */
  readonly repository: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Full name. Bytes that are not UTF-8 are replaced, and `reference_base64` has them. */
  readonly reference?: string;
  readonly reference_base64?: string;
  /** Object id, of HEAD `ref: <name>`; `null`: the reference did not exist. */
  readonly old_value?: string | null;
  /** `null`: the reference was deleted. */
  readonly new_value?: string | null;
  readonly previous_repository?: string;
  /** Who made the change; absent if it is not known. */
  readonly user?: ChangeUser;
}

/** Returns the JSON form of an event. */
export function eventPayload(storage: string, event: RepositoryEvent): EventPayload {
  const { kind, previousPath, reference, relativePath, sequence, timeMs, user } = event;
  return {
    version: PAYLOAD_VERSION,
    id: `${storage}:${sequence}`,
    type: kind,
    sequence,
    storage,
    repository: relativePath,
    time: new Date(timeMs).toISOString(),
    ...(reference !== undefined && {
      ...referenceFields(Buffer.from(reference, 'latin1')),
      old_value: event.oldValue ?? null,
      new_value: event.newValue ?? null,
    }),
    ...(previousPath !== undefined && { previous_repository: previousPath }),
    ...(user !== undefined && { user }),
  };
}

function referenceFields(name: Buffer): Pick<EventPayload, 'reference' | 'reference_base64'> {
  const reference = name.toString();
  return isUtf8(name) ? { reference } : { reference, reference_base64: name.toString('base64') };
}
