import { createServer, type Server, type ServerOptions } from 'node:https';
import { createSecureContext } from 'node:tls';
import { messageOf } from '#base/gitaly-error';
import { privateKeyPem } from '#base/go/private-key-pem';
import { type FollowedFiles, followFiles } from '#platform/files/follow-files';
import { ReloadedFiles } from '#platform/files/reloaded-files';

export interface TlsFiles {
  /** PEM file: the certificate, followed by the intermediate ones. */
  readonly certificatePath: string;
  /** PEM, without a passphrase. */
  readonly keyPath: string;
}

export interface TlsServerOptions extends TlsFiles {
  readonly server: ServerOptions;
  /** Called when changed files cannot be used; the previous certificate stays in use. */
  readonly onProblem: (error: unknown) => void;
}

const MIN_VERSION = 'TLSv1.2';

/**
 * Creates an HTTPS server whose certificate is reloaded within seconds after its files change, or
 * immediately by the returned function.
 *
 * @throws when the files cannot be used at the start.
 */
export async function createTlsServer({
  certificatePath,
  keyPath,
  onProblem,
  server: options,
}: TlsServerOptions): Promise<{ server: Server; renewTls: FollowedFiles['renew'] }> {
  const files = await ReloadedFiles.open({
    paths: [certificatePath, keyPath],
    parse: ([cert, key]) => {
      const pair = { cert: cert ?? '', key: privateKeyPem(key ?? '') };
      try {
        createSecureContext(pair);
      } catch (error) {
        throw new Error(
          `${certificatePath} and ${keyPath} are not a certificate (PEM) and its key: ${messageOf(error)}`,
          {
            cause: error,
          },
        );
      }
      return pair;
    },
    onProblem,
  });
  const server = createServer({ ...options, ...(await files.current()), minVersion: MIN_VERSION });
  const followed = await followFiles(files, (pair) =>
    server.setSecureContext({ ...pair, minVersion: MIN_VERSION }),
  );
  server.once('close', () => followed[Symbol.dispose]());
  return { server, renewTls: followed.renew };
}
