import { createHmac } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { Agent as HttpAgent, request as requestHttp } from '#base/network/node-http';
import { piecesOf } from '#base/streams/byte-stream';
import type { EventPayload } from '#events/event-payload';
import { lookupPublic, requirePublic } from './public-address.ts';
import type { Webhook } from './webhook.ts';

/** Time for one attempt, from the look-up of the host to the end of the response. */
const ATTEMPT_MS = 10_000;
/** A longer response is cut off: nobody reads it. */
const MAX_RESPONSE_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_RETRY_AFTER_SECONDS = 3600;
/** Deliveries of one webhook at a time. */
export const MAX_CONNECTIONS = 8;

/** The receiver has refused an event. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  /** Pause before the next attempt that the receiver wishes for. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs: number | undefined) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Sends the events of one webhook. Disposing closes its connections. */
export class WebhookSender implements Disposable {
  readonly #webhook: Webhook;
  readonly #agent: InstanceType<typeof HttpAgent | typeof HttpsAgent>;

  constructor(webhook: Webhook) {
    this.#webhook = webhook;
    const options = { keepAlive: true, maxSockets: MAX_CONNECTIONS, maxFreeSockets: 1 };
    this.#agent = webhook.url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /**
   * Makes one attempt to deliver an event.
   *
   * @throws {RefusedError} for a response other than 2xx; {PrivateAddressError}; the error of the
   *   connection.
   */
  async send(payload: EventPayload, signal: AbortSignal): Promise<void> {
    const { key, mayBePrivate, url } = this.#webhook;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // An address is not looked up.
    if (!mayBePrivate && isIP(host) !== 0) requirePublic(host);
    const body = JSON.stringify(payload);
    const limit = AbortSignal.timeout(ATTEMPT_MS);
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
      method: 'POST',
      agent: this.#agent,
      signal: AbortSignal.any([signal, limit]),
      maxHeaderSize: MAX_HEADER_BYTES,
      ...(!mayBePrivate && { lookup: lookupPublic }),
      headers: {
        'Content-Type': 'application/json',
        'User-Agent': 'gitaly-ts',
        ...signatureHeaders(key, { id: payload.id, timeSeconds: Math.floor(Date.now() / 1000), body }),
      },
    });
    try {
      const response = await responseTo(request, body);
      await discard(response);
      const { headers, statusCode: status = 0 } = response;
      if (status < 200 || status >= 300)
        throw new RefusedError(`the receiver responded with ${describe(status)}`, retryAfterMs(headers));
    } catch (error) {
      if (limit.aborted && !signal.aborted) throw new Error('the receiver did not respond within 10 s');
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

async function responseTo(request: ClientRequest, body: string): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
    // Without an error after a response that is none, such as a switch to another protocol.
    request.on('close', () => reject(new Error('the receiver closed the connection with no response')));
    request.end(body);
  });
}

/** Reads a response to its end, so that the connection can be used again. */
async function discard(response: IncomingMessage): Promise<void> {
  let bytes = 0;
  for await (const chunk of piecesOf(response)) {
    bytes += chunk.length;
    if (bytes > MAX_RESPONSE_BYTES) break; // destroys the connection
  }
}

function describe(status: number): string {
  return status >= 300 && status < 400 ? `${status}; redirects are not followed` : `${status}`;
}

function retryAfterMs(headers: IncomingMessage['headers']): number | undefined {
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  return seconds > 0 ? Math.min(seconds, MAX_RETRY_AFTER_SECONDS) * 1000 : undefined;
}

/**
 * Returns the headers that authenticate a delivery and protect it against replays, as the Standard
 * Webhooks specification 1.0 defines them.
 *
 * @param id of the event, the same in each attempt.
 * @param timeSeconds of the attempt, since 1970.
 */
function signatureHeaders(
  key: Buffer,
  { body, id, timeSeconds }: { readonly id: string; readonly timeSeconds: number; readonly body: string },
): Readonly<Record<string, string>> {
  const signature = createHmac('sha256', key).update(`${id}.${timeSeconds}.${body}`).digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': `${timeSeconds}`,
    'webhook-signature': `v1,${signature}`,
  };
}
