import { createHmac } from 'node:crypto';
import { lookup as resolve } from 'node:dns';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent as HttpAgent, request as requestHttp } from '#base/network/node-http';
import { piecesOf } from '#base/streams/byte-stream';
import type { EventPayload } from '#events/event-payload';
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

/**
 * Networks that are not on the public Internet.
 *
 * @see IANA: Special-Purpose Address Registries of IPv4 and IPv6, and multicast.
 */
const SPECIAL = [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24',
  '192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24',
  '224.0.0.0/4 240.0.0.0/4',
  '::/128 ::1/128 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16',
  '3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8',
].flatMap((line) => line.split(' '));

/** All of IPv6 that is or will be public, except for mapped IPv4 addresses, which are checked as such. */
const unicast = new BlockList();
unicast.addSubnet('2000::', 3, 'ipv6');
unicast.addSubnet('::ffff:0.0.0.0', 96, 'ipv6');

const special = new BlockList();
for (const network of SPECIAL) {
  const [address = '', prefix] = network.split('/');
  special.addSubnet(address, Number(prefix), isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** The host of a webhook leads to an address that is not public. */
export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError';
}

/** Throws for an address that is not public. @throws {PrivateAddressError} */
export function requirePublic(address: string): void {
  const isPublic =
    isIP(address) === 4
      ? !special.check(address, 'ipv4')
      : isIP(address) === 6 && unicast.check(address, 'ipv6') && !special.check(address, 'ipv6');
  if (!isPublic)
    throw new PrivateAddressError(`${address} is not a public address: set allow_private_addresses`);
}

/**
 * Looks up a host for a connection, and fails if one of its addresses is not public. The connection
 * uses the addresses that were checked.
 */
const lookupPublic: LookupFunction = (host, options, callback) => {
  resolve(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    try {
      for (const { address } of addresses) requirePublic(address);
    } catch (problem) {
      return callback(problem instanceof Error ? problem : new Error(String(problem)), []);
    }
    const [first] = addresses;
    if (options.all || first === undefined) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
