import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { listeningPort } from '#base/network/listening-port';

/** Failure of a request; `undefined` passes the request on. */
export type HttpFault =
  | { readonly status: number; readonly body: string }
  /** The request is passed on after this time. */
  | { readonly delayMs: number }
  /** Both connections are closed after these bytes of the request's body were passed on. */
  | { readonly cutUploadAfterBytes: number }
  /** The connection is closed after these bytes of the response's body, or nothing more is sent. */
  | {
      readonly cutAfterBytes: number;
      readonly isStalled?: boolean;
      /** Headers that replace those of the response. */
      readonly headers?: Readonly<Record<string, string>>;
    };

export interface HttpFaultProxy extends AsyncDisposable {
  readonly port: number;
  /** `METHOD /path?query range` of all requests so far. */
  readonly requests: readonly string[];
}

/** Starts an HTTP proxy in front of a port of this machine; the test chooses the faults. */
export async function startHttpFaultProxy(
  port: number,
  faultOf: (line: string, request: IncomingMessage) => HttpFault | undefined,
): Promise<HttpFaultProxy> {
  const requests: string[] = [];
  const server = createServer((from, to) => {
    const line = [from.method, from.url, from.headers.range ?? from.headers['x-ms-range']]
      .filter(Boolean)
      .join(' ');
    requests.push(line);
    passOn(port, from, to, faultOf(line, from));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: listeningPort(server),
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function passOn(port: number, from: IncomingMessage, to: ServerResponse, fault: HttpFault | undefined): void {
  if (fault !== undefined && 'status' in fault) {
    from.resume();
    to.writeHead(fault.status, { 'content-type': 'application/xml', connection: 'close' }).end(fault.body);
    return;
  }
  if (fault !== undefined && 'delayMs' in fault) {
    const timer = setTimeout(() => passOn(port, from, to, undefined), fault.delayMs);
    to.on('close', () => clearTimeout(timer));
    return;
  }
  if (fault !== undefined && 'cutUploadAfterBytes' in fault) {
    void cutUpload(port, from, to, fault.cutUploadAfterBytes);
    return;
  }
  const { method, url, headers } = from;
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false });
  onward.on('error', () => to.destroy());
  to.on('close', () => onward.destroy());
  from.pipe(onward);
  onward.on('response', (response) => {
    to.writeHead(response.statusCode ?? 0, { ...response.headers, ...fault?.headers });
    if (fault === undefined) response.pipe(to);
    else void sendPart(response, to, fault);
  });
}

/** Passes on the beginning of a request, which the server therefore never has whole. */
async function cutUpload(
  port: number,
  from: IncomingMessage,
  to: ServerResponse,
  bytes: number,
): Promise<void> {
  const { method, url, headers } = from;
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false });
  onward.on('error', () => {});
  let left = bytes;
  for await (const piece of from) {
    const sent: Buffer = piece.subarray(0, left);
    left -= sent.length;
    await new Promise((resolve) => onward.write(sent, resolve));
    if (left === 0) break;
  }
  onward.destroy();
  to.destroy();
}

async function sendPart(
  response: IncomingMessage,
  to: ServerResponse,
  { cutAfterBytes, isStalled = false }: Extract<HttpFault, { cutAfterBytes: number }>,
): Promise<void> {
  let left = cutAfterBytes;
  for await (const piece of response) {
    const sent: Buffer = piece.subarray(0, left);
    left -= sent.length;
    await new Promise((resolve) => to.write(sent, resolve));
    if (left === 0) break;
  }
  if (!isStalled) to.destroy();
}
