import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';

/** A web server on loopback. */
export interface WebServer extends AsyncDisposable {
  /** `http://host:port`. */
  readonly url: string;
}

/**
 * Serves the files of a directory, which may be named later: repositories that git fetches by the
 * dumb protocol, and archives.
 */
export async function startWebServer(root: () => string): Promise<WebServer> {
  const server = createServer((request, response) => {
    const path = join(root(), normalize((request.url ?? '/').replace(/\?.*$/, '')));
    const file = statSync(path, { throwIfNoEntry: false })?.isFile() === true ? path : undefined;
    response.statusCode = file === undefined ? 404 : 200;
    if (file === undefined) response.end();
    else createReadStream(file).pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
