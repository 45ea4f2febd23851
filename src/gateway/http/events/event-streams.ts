import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GitalyError } from '#base/gitaly-error';
import type { Connection } from '#client/connection';
import { decodeEvent, type RepositoryEvent } from '#client/watch-events';
import { eventPayload } from '#events/event-payload';
import type { Slots } from '#gateway/slots';
import { EventService, type WatchResponse } from '#wire/gen/gitalyts/events/v1/events_pb';
import type { Answer } from '../answer.ts';
import { SIGN_IN } from '../auth/challenge.ts';
import { type Authenticator, noAuthentication } from '../authentication.ts';
import { BUSY_ANSWER } from '../failure.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { HttpRefusal } from '../refusal.ts';
import { EventAccess } from './event-access.ts';

/** Address of the server-sent events of a gateway. */
export const EVENTS_PATH = '/-/events';

/** Changes of repositories as server-sent events. */
export interface EventOptions {
  /**
   * Name of the storage with the events. Clients get those of the repositories that they may read;
   * the paths of these must be those in the storage.
   */
  readonly storage: string;
}

export interface EventExchange extends Pick<HttpExchange, 'request' | 'response' | 'peer' | 'signal'> {
  readonly query: string;
}

export interface EventStreamsOptions extends EventOptions {
  readonly connection: Connection;
  /** `undefined` if everybody may read everything. */
  readonly authenticator: Authenticator | undefined;
  readonly slots: Slots;
}

const HEARTBEAT_SECONDS = 15;
/** Pause of browsers before they connect again. */
const RETRY_MS = 2000;
/** Streams of events at a time: other requests are for git. */
export const MAX_STREAMS = 256;
const CURSOR = /^\d{1,15}$/;

/** Streams of server-sent events: at most 256 at a time. */
export class EventStreams {
  readonly #options: EventStreamsOptions;
  readonly #ending = new AbortController();

  constructor(options: EventStreamsOptions) {
    this.#options = options;
  }

  /** Ends all streams. Their clients continue later, behind the last event. */
  end(): void {
    this.#ending.abort();
  }

  /**
   * Streams events until the client disconnects or the streams end.
   *
   * @throws {HttpRefusal} before the first byte; the error of the call.
   */
  async serve(exchange: EventExchange): Promise<void> {
    const { authenticator = noAuthentication() } = this.#options;
    const { request } = exchange;
    const isAnonymous =
      this.#options.authenticator !== undefined && request.headers.authorization === undefined;
    if (isAnonymous) throw new HttpRefusal(SIGN_IN);
    const slot = await this.#options.slots.take(exchange.peer.address);
    if (typeof slot === 'string') throw new HttpRefusal(BUSY_ANSWER);
    using _ = slot;
    const access = new EventAccess(authenticator, { headers: request.headers, peer: exchange.peer });
    if (this.#ending.signal.aborted) throw new HttpRefusal(BUSY_ANSWER);
    await access.checkCredentials();
    await this.#stream(exchange, access);
  }

  async #stream({ query, request, response, signal }: EventExchange, access: EventAccess): Promise<void> {
    const { connection, storage } = this.#options;
    const either = AbortSignal.any([signal, this.#ending.signal]);
    const responses = connection
      .client(EventService)
      .watch(
        { storageName: storage, ...wishOf(query, request), heartbeatSeconds: HEARTBEAT_SECONDS },
        { signal: either },
      );
    try {
      for await (const message of refused(responses)) {
        const text = await this.#blocks(message, access);
        if (!response.headersSent) begin(response);
        if (!response.write(text)) await once(response, 'drain', { signal: either });
      }
    } catch (error) {
      // After the first byte the client continues behind the last event.
      if (!response.headersSent && !this.#ending.signal.aborted) throw error;
    }
    if (!response.headersSent) throw new HttpRefusal(BUSY_ANSWER);
    response.end();
  }

  /** Returns the events that the client may see, and the cursor, which lies behind hidden ones, too. */
  async #blocks({ cursor, events }: WatchResponse, access: EventAccess): Promise<string> {
    let text = '';
    for (const event of events.map(decodeEvent)) {
      if (event.relativePath !== '' && !(await access.mayRead(event.relativePath))) continue;
      const { previousPath } = event;
      const isHidden = previousPath !== undefined && !(await access.mayRead(previousPath));
      const shown = isHidden ? { ...event, previousPath: undefined } : event;
      // Compacted events have no cursors between them, so that they are sent again.
      text += `id: ${cursor === 0n ? 0 : event.sequence}\nevent: ${event.kind}\ndata: ${jsonOf(shown)}\n\n`;
    }
    return `${text}id: ${cursor}\n\n`;
  }
}

/** Returns the JSON of an event, which is one line. */
function jsonOf({ reference, relativePath, sequence, storageName, time, ...event }: RepositoryEvent): string {
  const { kind, newValue, oldValue, previousPath, user } = event;
  const payload = eventPayload(storageName, {
    ...{ kind, relativePath, sequence: Number(sequence), timeMs: time.getTime() },
    ...(reference !== undefined && { reference: reference.toString('latin1') }),
    ...(oldValue !== undefined && { oldValue }),
    ...(newValue !== undefined && { newValue }),
    ...(previousPath !== undefined && { previousPath }),
    ...(user && { user }),
  });
  return JSON.stringify(payload);
}

/** Returns the fields of the call that a client asks for. @throws {HttpRefusal} */
function wishOf(query: string, { headers }: IncomingMessage) {
  const parameters = new URLSearchParams(query);
  const after = headers['last-event-id'] ?? parameters.get('after') ?? '0';
  if (Array.isArray(after) || (after !== 'now' && !CURSOR.test(after)))
    throw new HttpRefusal({ status: 400, text: 'after: write the id of an event, or now.' });
  const filter = {
    pathPrefix: parameters.get('path') ?? '',
    referencePattern: parameters.get('reference') ?? '',
  };
  return { filter, ...(after === 'now' ? { fromNow: true } : { after: BigInt(after) }) };
}

const GONE: Answer = {
  status: 410,
  text: 'These events are no longer kept. Begin again with after=0.',
};
const NO_FEED: Answer = {
  status: 404,
  text: 'This server keeps no change feed: see [events] of its configuration.',
};

/** Forwards messages; errors of a feed become responses. */
async function* refused(responses: AsyncIterable<WatchResponse>): AsyncGenerator<WatchResponse> {
  try {
    yield* responses;
  } catch (error) {
    if (!(error instanceof GitalyError)) throw error;
    if (error.code === 'OUT_OF_RANGE') throw new HttpRefusal(GONE);
    throw error.code === 'UNIMPLEMENTED' ? new HttpRefusal(NO_FEED) : error;
  }
}

function begin(response: ServerResponse): void {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Accel-Buffering': 'no', // nginx passes each event on at once
  });
  response.write(`retry: ${RETRY_MS}\n\n`);
}
