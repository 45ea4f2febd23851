import { createServer, type Server, type ServerOptions } from 'node:https';
import { createSecureContext } from 'node:tls';
import { messageOf } from '#base/gitaly-error';
import { ReloadedFiles } from './reloaded-files.ts';

export interface TlsFiles {
  /** PEM: the certificate, then those between it and the root. */
  readonly certificatePath: string;
  /** PEM, without a passphrase. */
  readonly keyPath: string;
}

export interface TlsServerOptions extends TlsFiles {
  readonly server: ServerOptions;
  /** Told when changed files cannot be used; the certificate before stays in use. */
  readonly onProblem: (error: unknown) => void;
}

const LOOK_EVERY_MS = 5000;
const MIN_VERSION = 'TLSv1.2';

/** An HTTPS server that takes up a changed certificate within seconds. @throws what is wrong with the files at the start. */
export async function createTlsServer({
  certificatePath,
  keyPath,
  onProblem,
  server: options,
}: TlsServerOptions): Promise<Server> {
  const files = await ReloadedFiles.open({
    paths: [certificatePath, keyPath],
    parse: ([cert, key]) => {
      const pair = { cert: cert ?? '', key: key ?? '' };
      try {
        createSecureContext(pair);
      } catch (error) {
        throw new Error(`${certificatePath} and ${keyPath} are not a certificate (PEM) and its key: ${messageOf(error)}`, {
          cause: error,
        });
      }
      return pair;
    },
    onProblem,
  });
  let used = await files.current();
  const server = createServer({ ...options, ...used, minVersion: MIN_VERSION });
  const look = async (): Promise<void> => {
    const newest = await files.current();
    if (newest === used) return;
    used = newest;
    server.setSecureContext({ ...used, minVersion: MIN_VERSION });
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS).unref();
  server.once('close', () => clearInterval(timer));
  return server;
}
