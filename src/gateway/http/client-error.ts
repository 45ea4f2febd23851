import type { Duplex } from 'node:stream';

/** What came over a connection is no request that could be answered in the usual way. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex, isAnswering: boolean): void {
  const answer = answerTo(error.code);
  if (answer === undefined || !socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const [status, text] = answer;
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    () => socket.destroy(), // what is still to come is of no use
  );
}

function answerTo(code = ''): readonly [string, string] | undefined {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', 'The head of the request did not come in time.'];
    case 'HPE_HEADER_OVERFLOW':
      return ['431 Request Header Fields Too Large', 'The headers of the request are too large.'];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return ['413 Content Too Large', 'The chunk extensions of the request are too large.'];
    default:
      // Anything but the parser's errors is a connection that is lost, or one that has not come to speak HTTP.
      if (!code.startsWith('HPE_')) return undefined;
      return [
        '400 Bad Request',
        'This is not an HTTP request. Does the address begin with the right one of http:// and https://?',
      ];
  }
}
