import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHttpGateway, startSshGateway, storageMapping } from '#gateway/index';
import { startGitHttpServer } from '#testkit/git-http-server';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/ssh-client';
import { ALLOW_EVERYBODY } from '#testkit/ssh-gateway-fixture';
import { startGitaly } from '#testkit/start-gitaly';
import { type Format, Origin, SERVER_SETTINGS } from './origin.ts';
import type { Place } from './place.ts';

/** How git reaches a repository; `backend` is git's own server for HTTP. */
export type Transport = 'file' | 'backend' | 'http' | 'ssh';

/** Copies of repositories that git reaches through the gateways of a server, and without them. */
export interface Places extends AsyncDisposable {
  originOf(format: Format): Origin;
  copy(origin: Origin, transport: Transport): Place;
}

export async function openPlaces(): Promise<Places> {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'transports-'));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const gitaly = stack.use(await startGitaly());
  const options = {
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  };
  const http = stack.use(await startHttpGateway(options));
  const hostKeyPath = join(directory, 'host-key');
  const ssh = stack.use(await startSshGateway({ ...options, hostKeyPath, access: ALLOW_EVERYBODY }));
  const client = { directory, gateway: ssh, hostKeyPath };
  const environments = {
    file: {},
    backend: {},
    http: {},
    ssh: NO_OPENSSH === false ? gitOverSsh(await sshArguments(client)) : {},
  };
  const backend = stack.use(await startGitHttpServer(directory));
  const urls = { file: `file://${directory}`, backend: `${backend.url}/r`, http: http.url, ssh: ssh.url };

  const origins = new Map<string, Origin>();
  let lastId = 0;
  const opened = stack.move();
  return {
    originOf(format) {
      const name = `${format.objectFormat}-${format.referenceBackend}`;
      const origin = origins.get(name) ?? new Origin(join(directory, name), format);
      origins.set(name, origin);
      return origin;
    },
    copy(origin, transport) {
      const name = `${++lastId}.git`;
      const isOurs = transport === 'http' || transport === 'ssh';
      const repository = join(isOurs ? gitaly.storagePath() : directory, name);
      origin.copyTo(repository, isOurs ? '' : SERVER_SETTINGS);
      const url = `${urls[transport]}/${name}`;
      return { url, repository, client: join(directory, `client-${lastId}`), env: environments[transport] };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
