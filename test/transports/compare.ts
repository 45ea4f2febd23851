import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startHttpGateway, startSshGateway, storageMapping } from '#gateway/index';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { ALLOW_EVERYBODY } from '#testkit/clients/ssh-gateway-fixture';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { startGitaly } from '#testkit/start-gitaly';
import { differenceOf } from './differences.ts';
import { FETCHES } from './fetch-cases.ts';
import { type Format, Origin, SERVER_SETTINGS } from './origin.ts';
import { type Place, type Played, play } from './place.ts';
import { PUSHES } from './push-cases.ts';
import type { Protocol, TransportCase } from './steps.ts';

/** A case with what it is tried with. */
export interface Trial extends Format {
  readonly tried: TransportCase;
  readonly protocol: Protocol;
}

/** Returns each case with each version of the protocol and each format of a repository. */
export function allTrials(): Trial[] {
  const formats = referenceBackends().flatMap((referenceBackend) =>
    (['sha1', 'sha256'] as const).map((objectFormat) => ({ referenceBackend, objectFormat })),
  );
  return [...FETCHES, ...PUSHES].flatMap((tried) =>
    (['0', '1', '2'] as const).flatMap((protocol) =>
      formats.map((format) => ({ tried, protocol, ...format })),
    ),
  );
}

/** Registers a test for each trial: git does over HTTP and SSH what it does with `file://`. */
export function testTrials(trials: readonly Trial[]): void {
  const transports = NO_OPENSSH === false ? (['http', 'ssh'] as const) : (['http'] as const);
  if (NO_OPENSSH !== false) test('over SSH', { skip: NO_OPENSSH });
  let places: Places;
  before(async () => {
    places = await openPlaces();
  });
  after(() => places[Symbol.asyncDispose]());

  for (const trial of trials) {
    const { tried, protocol, objectFormat, referenceBackend } = trial;
    test(`${tried.name}: v${protocol}, ${objectFormat}, ${referenceBackend}`, async () => {
      const origin = places.originOf(trial);
      const copies: Place[] = [];
      const over = (transport: Transport): Promise<Played> => {
        const copy = places.copy(origin, transport);
        copies.push(copy);
        return play(tried, copy, { origin, protocol, objectFormat });
      };

      const [expected, ...results] = await Promise.all(['file' as const, ...transports].map(over));

      for (const [index, transport] of transports.entries()) {
        const difference = differenceOf(tried.name, { protocol, transport });
        if (difference === undefined) assert.deepEqual(results[index], expected, transport);
        else if (difference.isOfGit) assert.deepEqual(results[index], await over('backend'), transport);
        else assert.notDeepEqual(results[index], expected, `${transport} has no difference`);
      }
      for (const { client, repository } of copies)
        for (const path of [client, repository]) rmSync(path, { recursive: true, force: true });
    });
  }
}

/** How git reaches a repository; `backend` is git's own server for HTTP. */
type Transport = 'file' | 'backend' | 'http' | 'ssh';

/** Copies of repositories that git reaches through the gateways of a server, and without them. */
interface Places extends AsyncDisposable {
  originOf(format: Format): Origin;
  copy(origin: Origin, transport: Transport): Place;
}

async function openPlaces(): Promise<Places> {
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
