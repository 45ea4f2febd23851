import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import {
  type Event,
  EventService,
  Event_Kind as Kind,
  type User,
  type WatchResponse,
} from '#wire/gen/gitalyts/events/v1/events_pb';
import type { CallOptions } from './call/call-types.ts';
import type { ServiceCaller } from './call/typed-client.ts';
import type { ConnectionState } from './connect/connection-state.ts';

export interface WatchOptions extends Pick<CallOptions, 'metadata' | 'signal'> {
  readonly storageName: string;
  /** Only events after this cursor. Default: from the start. */
  readonly after?: bigint;
  /** Only events from now on. */
  readonly fromNow?: boolean;
  /** Beginning of the relative paths of repositories. */
  readonly pathPrefix?: string;
  /** Pattern of full names of references: `*` matches any characters except a slash, `**` any. */
  readonly referencePattern?: string;
  /**
   * Interval of the server's heartbeats in seconds; default 30. After three silent intervals, a new
   * connection is opened.
   */
  readonly heartbeatSeconds?: number;
  /**
   * Called with the cursor of what was received: at the start, after events, and while no event
   * matches.
   */
  readonly onCursor?: (cursor: bigint) => void;
}

/** A change of a repository or of one of its references. */
export interface RepositoryEvent {
  /** The cursor. A later call with this value as `after` continues behind this event. */
  readonly sequence: bigint;
  /**
   * `resync`: references may have changed in unknown ways; list them. `compacted`: forget what you
   * know about the storage; the latest event of each reference and repository follows, without an
   * old value.
   */
  readonly kind: 'reference' | 'created' | 'removed' | 'renamed' | 'resync' | 'compacted';
  readonly storageName: string;
  /** Empty if the event is about all repositories. */
  readonly relativePath: string;
  readonly time: Date;
  /** Full name of the reference, for the kind `reference`. */
  readonly reference: Buffer | undefined;
  /** Object id, or `ref: <name>` for HEAD; `undefined` if the reference did not exist. */
  readonly oldValue: string | undefined;
  /** `undefined` if the reference was deleted. */
  readonly newValue: string | undefined;
  /** The path before the change, for the kind `renamed`. */
  readonly previousPath: string | undefined;
  /** Who made the change; `undefined` if it is not known. */
  readonly user: ChangeUser | undefined;
}

/** Who changed a repository. */
export interface ChangeUser {
  /** The id that hooks get as GL_ID: `username-ann`, `user-1`, `key-2`. */
  readonly id: string;
  readonly name: string;
  /** The token, password or key of the login; a password has an empty name. */
  readonly credential?: { readonly kind: 'password' | 'token' | 'key'; readonly name: string };
}

const KINDS = {
  [Kind.UNSPECIFIED]: 'resync',
  [Kind.REFERENCE]: 'reference',
  [Kind.CREATED]: 'created',
  [Kind.REMOVED]: 'removed',
  [Kind.RENAMED]: 'renamed',
  [Kind.RESYNC]: 'resync',
  [Kind.COMPACTED]: 'compacted',
} as const satisfies Record<Kind, RepositoryEvent['kind']>;

const CREDENTIAL_KINDS = ['password', 'token', 'key'] as const;
const DEFAULT_HEARTBEAT_SECONDS = 30;
/** Number of heartbeats without a message after which a connection counts as dead. */
const SILENT_BEATS = 3;
const SECOND_MS = 1000;
const NANOS_PER_MS = 1_000_000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;
const PASSING: ReadonlySet<StatusCode> = new Set([
  'UNAVAILABLE',
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
]);

/**
 * Yields the changes of a storage as they happen, and continues behind the last one when the
 * connection is lost or the server starts again. From the start on, old events are compacted: see
 * `kind`. Ends with the signal, or when the loop is left.
 *
 *     for await (const event of watchEvents(connection, { storageName: 'default' })) …
 *
 * @throws {CallError} OUT_OF_RANGE when the events behind `after` were compacted: begin again
 *   without it; UNIMPLEMENTED from a server without a change feed; CANCELLED when the connection is
 *   closed.
 */
export async function* watchEvents(
  connection: ServiceCaller & { readonly state?: ConnectionState },
  options: WatchOptions,
): AsyncGenerator<RepositoryEvent, void, undefined> {
  const { signal, fromNow = false } = options;
  let cursor = fromNow ? undefined : (options.after ?? 0n);
  const isOver = (): boolean => signal?.aborted === true;
  for (let pauseMs = FIRST_PAUSE_MS; !isOver(); ) {
    try {
      for await (const { events, cursor: next } of responses(connection, options, cursor)) {
        pauseMs = FIRST_PAUSE_MS;
        for (const event of events) {
          // Compacted events have no cursor, so they are sent again.
          cursor = next === 0n ? 0n : event.sequence;
          yield decodeEvent(event);
        }
        cursor = next;
        if (next > 0n || events.length === 0) options.onCursor?.(next);
      }
    } catch (error) {
      if (isOver()) return;
      if (!(error instanceof GitalyError)) throw error;
      // The compacted events have changed while they were sent.
      const isReplaced = error.code === 'OUT_OF_RANGE' && cursor === 0n;
      const isPassing = PASSING.has(error.code) && connection.state !== 'shutdown';
      if (!isReplaced && !isPassing) throw error;
    }
    await delay(pauseMs, undefined, { signal }).catch(() => {}); // the loop ends with the signal
    pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
  }
}

/** Yields the messages of one call, which ends when the server has been silent for too long. */
async function* responses(
  connection: ServiceCaller,
  options: WatchOptions,
  cursor: bigint | undefined,
): AsyncGenerator<WatchResponse, void, undefined> {
  const { storageName, pathPrefix = '', referencePattern = '', metadata, signal } = options;
  const { heartbeatSeconds = DEFAULT_HEARTBEAT_SECONDS } = options;
  const silence = new AbortController();
  const signals = signal === undefined ? [silence.signal] : [signal, silence.signal];
  using timer = setTimeout(() => silence.abort(), SILENT_BEATS * heartbeatSeconds * SECOND_MS);
  const call = connection.client(EventService).watch(
    {
      storageName,
      ...(cursor === undefined ? { fromNow: true } : { after: cursor }),
      filter: { pathPrefix, referencePattern },
      heartbeatSeconds,
    },
    { signal: AbortSignal.any(signals), ...(metadata !== undefined && { metadata }) },
  );
  for await (const response of call) {
    timer.refresh();
    yield response;
    timer.refresh(); // the consumer may have been slow
  }
}

/** Returns the user of a message. */
export function decodeUser({ credentialKind, credentialName, id, name }: User): ChangeUser {
  const kind = CREDENTIAL_KINDS.find((known) => known === credentialKind);
  return { id, name, ...(kind && { credential: { kind, name: credentialName } }) };
}

/** Returns the event of a message. */
export function decodeEvent(event: Event): RepositoryEvent {
  const { kind, sequence, storageName, relativePath, time, reference } = event;
  const milliseconds = Number(time?.seconds ?? 0n) * SECOND_MS + (time?.nanos ?? 0) / NANOS_PER_MS;
  return {
    sequence,
    kind: KINDS[kind],
    storageName,
    relativePath,
    time: new Date(milliseconds),
    reference: reference.length === 0 ? undefined : Buffer.from(reference),
    oldValue: event.oldValue || undefined,
    newValue: event.newValue || undefined,
    previousPath: event.previousRelativePath || undefined,
    user: event.user && decodeUser(event.user),
  };
}
