import type { Http2Session } from 'node:http2';
import { types } from 'node:util';
import { BriefMap } from '#base/memory/brief-map';

/** Releases of Node in which the private fields were checked. */
const CHECKED_RELEASES = ['24', '25', '26'];

/** The part of a session's private state that is replaced. */
interface SessionState {
  streams: unknown;
  pendingStreams: unknown;
}

/**
 * Replaces the `Map` and the `Set` in which `node:http2` keeps the streams of a new session. They
 * make every finished call survive until the next full garbage collection, see `BriefSet` and
 * docs/decisions/0014-streams-of-a-session.md. Returns false, and changes nothing, where Node's
 * fields are not the known ones.
 */
export function keepStreamsBriefly(session: Http2Session): boolean {
  const state = stateOf(session);
  if (state === undefined) return false;
  state.streams = new BriefMap<number, object>();
  state.pendingStreams = new PendingStreams();
  return true;
}

function stateOf(session: Http2Session): SessionState | undefined {
  if (!CHECKED_RELEASES.includes(process.versions.node.split('.')[0] ?? '')) return undefined;
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  // A private field: its shape is checked in the next lines.
  const state = key && (session as unknown as Record<symbol, Partial<SessionState> | undefined>)[key];
  // Node's internal collections have other prototypes, so `instanceof` does not find them.
  if (!types.isMap(state?.streams) || !types.isSet(state.pendingStreams)) return undefined;
  if (state.streams.size > 0 || state.pendingStreams.size > 0) return undefined;
  return state as SessionState;
}

/**
 * The methods of `Set` that Node uses for streams without an id yet. The first added is mostly the
 * first removed.
 */
class PendingStreams<S> {
  readonly #streams: S[] = [];

  get size(): number {
    return this.#streams.length;
  }

  add(stream: S): this {
    this.#streams.push(stream);
    return this;
  }

  delete(stream: S): boolean {
    const at = this.#streams.indexOf(stream);
    if (at !== -1) this.#streams.splice(at, 1);
    return at !== -1;
  }

  forEach(visit: (stream: S) => void): void {
    for (const stream of [...this.#streams]) visit(stream);
  }
}
