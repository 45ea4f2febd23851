import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type IncomingMessage, request as startRequest } from 'node:http';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ALLOW_EVERYBODY, connectionClosed, logIn } from '#testkit/clients/ssh-gateway-fixture';
import { openTimers } from '#testkit/measure/open-timers';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { RequestBody } from './http/request-body.ts';
import { discardRest } from './http/unread-body.ts';
import { startHttpGateway, startSshGateway, storageMapping } from './index.ts';

const NOWHERE = { address: 'unix:/nowhere/gitaly.socket' };
const LOCAL = { host: '127.0.0.1', port: 0 };
const GRACE_MS = 60_000;

test('a request and a closed gateway leave no timer', async (context) => {
  const mapping = storageMapping('default');
  const pages = { answer: async () => ({ status: 200, headers: {}, body: 'page' }) };
  const gateway = await startHttpGateway({ gitaly: NOWHERE, listen: LOCAL, mapping, pages });
  const timers = openTimers(context);
  const get = startRequest({ port: gateway.port, path: '/-/console', agent: false }).end();
  const [response]: IncomingMessage[] = await once(get, 'response');

  assert.ok(response);
  assert.equal(await text(response), 'page');
  await gateway.close({ graceMs: GRACE_MS });

  assert.equal(timers(), 0);
});

test('a closed SSH gateway leaves no timer, also of connections', async (context) => {
  const directory = makeScratchDirectory('ssh-timers');
  context.after(() => rmSync(directory, { recursive: true }));
  const gateway = await startSshGateway({
    ...{ gitaly: NOWHERE, listen: LOCAL, mapping: storageMapping('default'), access: ALLOW_EVERYBODY },
    hostKeyPath: join(directory, 'key'),
  });
  const timers = openTimers(context);
  const client = await logIn(gateway);
  const closed = connectionClosed(client);

  await gateway.close({ graceMs: GRACE_MS });
  await closed;

  assert.equal(timers(), 0);
});

test('a body that was read, or dropped, leaves no timer', async (context) => {
  const timers = openTimers(context);
  const request = (): IncomingMessage =>
    // The fields of a request that a body uses.
    Object.assign(new PassThrough().end('0000'), { headers: {} }) as unknown as IncomingMessage;
  const limits = { maxBytes: 10, idleTimeoutMs: GRACE_MS, timeoutMs: GRACE_MS };

  assert.equal(await text(RequestBody.of(request(), limits)), '0000');
  await discardRest(request());

  assert.equal(timers(), 0);
});
