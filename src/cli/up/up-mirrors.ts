import { dial } from '#client/index';
import { MirrorDirectory } from '#tools/mirror/mirror-directory';
import { startMirrors } from '#tools/mirror/run-mirrors';
import type { UpDirectory } from './up-directory.ts';
import type { GatewayTarget } from './up-ssh.ts';

/** Starts the mirrors of a directory, see `gitaly-ts repo mirror`. */
export function startUpMirrors(
  { path }: UpDirectory,
  { address, storage, token }: GatewayTarget,
): AsyncDisposable {
  return startMirrors({
    directory: new MirrorDirectory(path),
    storage,
    connect: async () => await dial(address, token === undefined ? {} : { token }),
    onFailure: (text) => process.stderr.write(`gitaly-ts: ${text}\n`),
  });
}
