import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listeningPort } from '#base/network/listening-port';

/** The fields of an event that tests check. */
export interface SentryEvent {
  readonly release: string;
  readonly environment?: string;
  readonly message: string;
  readonly transaction?: string;
  readonly fingerprint?: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly exception: {
    readonly values: readonly { readonly type: string; readonly stacktrace?: unknown }[];
  };
}

/** Starts a server on loopback that takes envelopes as Sentry does. */
export async function startSentry(status = 200, headers: Readonly<Record<string, string>> = {}) {
  const requests: { path: string; authorization: string; head: string; item: string; event: SentryEvent }[] =
    [];
  const server = createServer(async (request, response) => {
    const [head = '', item = '', event = ''] = (await text(request)).split('\n');
    requests.push({
      path: request.url ?? '',
      authorization: String(request.headers['x-sentry-auth']),
      head,
      item,
      event: JSON.parse(event),
    });
    response.writeHead(status, headers).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = listeningPort(server);
  return {
    url: `http://127.0.0.1:${port}`,
    dsn: `http://the-key:the-secret@127.0.0.1:${port}/42`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
