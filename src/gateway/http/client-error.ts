import type { Duplex } from 'node:stream';

/** Responds to bytes that are not a valid HTTP request. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex, isAnswering: boolean): void {
  const answer = answerTo(error.code);
  if (answer === undefined || !socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const [status, text] = answer;
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
    () => socket.destroy(), // further data is not needed
  );
}

function answerTo(code = ''): readonly [string, string] | undefined {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', 'The request headers did not arrive in time.'];
    case 'HPE_HEADER_OVERFLOW':
      return ['431 Request Header Fields Too Large', 'The request headers are too large.'];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return ['413 Content Too Large', 'The chunk extensions of the request are too large.'];
    default:
      // Only the parser's errors get a response; other errors mean a lost connection, or one that
      // does not use HTTP.
      if (!code.startsWith('HPE_')) return undefined;
      return [
        '400 Bad Request',
        'This is not an HTTP request. Check whether the address must begin with http:// or https://.',
      ];
  }
}
