import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { Webhook } from 'standardwebhooks';
import type { EventPayload } from '#events/event-payload';

/** Secret of the signatures that receivers verify. */
export const SECRET = `whsec_${Buffer.alloc(32, 'k').toString('base64')}`;

export interface Receiver {
  readonly url: string;
  /** Verified events, without those that were refused. */
  readonly events: EventPayload[];
  /** Status of the next responses. */
  status: number;
  /** Reports whether an event is refused, with 500. */
  refuses: (event: EventPayload) => boolean;
}

/** Starts a receiver of webhooks on this machine. The end of the test stops it. */
export async function startReceiver(context: TestContext): Promise<Receiver> {
  const verifier = new Webhook(SECRET);
  const server = createServer(async (request, response) => {
    const body = await text(request);
    // Each header is there once; the body is an event.
    const event = verifier.verify(body, request.headers as Record<string, string>) as EventPayload;
    const status = receiver.refuses(event) ? 500 : receiver.status;
    if (status === 200) receiver.events.push(event);
    response.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  context.after(() => server.close().closeAllConnections());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // of TCP
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    events: [],
    status: 200,
    refuses: () => false,
  };
  return receiver;
}
