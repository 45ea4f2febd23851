import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type TestContext, test } from 'node:test';
import { listeningPort } from '#base/network/listening-port';
import { setVariable } from '#testkit/set-variable';
import { openStore } from '../open-store.ts';
import { PreconditionError } from '../store-error.ts';

const { signal } = new AbortController();
/** Larger than what is sent without the SDK. */
const LARGE = 2 * 1024 * 1024;
const KEY = "r/a b/(1)'+é.pack";

async function* zeros(bytes: number): AsyncGenerator<Buffer> {
  yield Buffer.alloc(bytes);
}

/** Starts a service that responds with some statuses, and then with success. */
async function startService(context: TestContext, options = '') {
  setVariable(context, 'AWS_ACCESS_KEY_ID', 'id');
  setVariable(context, 'AWS_SECRET_ACCESS_KEY', 'secret');
  setVariable(context, 'AWS_SESSION_TOKEN', 'token');
  const statuses: number[] = [];
  const requests: { readonly url: string | undefined; readonly headers: IncomingHttpHeaders }[] = [];
  const server = createServer(({ headers, url }, response) => {
    requests.push({ url, headers });
    response.writeHead(statuses.shift() ?? 200, { etag: '"1"' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `s3://bucket?region=x&use_path_style=true&endpoint=http://127.0.0.1:${listeningPort(server)}`;
  const store = await openStore(`${url}${options}`);
  const put = (bytes = 1): Promise<string> => store.put(KEY, zeros(bytes), { signal, onlyIf: 'absent' });
  return {
    put,
    statuses,
    /** Returns which of the requests since the last call the SDK has sent. */
    bySdk: () => requests.splice(0).map(({ headers }) => headers['amz-sdk-request'] !== undefined),
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

test('a small object is stored with one request, without the SDK', async (context) => {
  await using service = await startService(context, '&ssetype=aws:kms&kmskeyid=key');

  assert.equal(await service.put(), '"1"');
  assert.equal(await service.put(LARGE), '"1"');

  const [direct, bySdk] = service.requests;
  assert.deepEqual(service.bySdk(), [false, true]);
  assert.equal(direct?.url, '/bucket/r/a%20b/%281%29%27%2B%C3%A9.pack');
  assert.equal(direct.url, bySdk?.url?.split('?')[0]);
  const ofBoth = ['cache-control', 'content-type', 'if-none-match', 'x-amz-security-token'];
  for (const name of [
    ...ofBoth,
    ...Object.keys(bySdk?.headers ?? {}).filter((key) => /-encryption/.test(key)),
  ])
    assert.equal(direct.headers[name], bySdk?.headers[name], name);
  assert.equal(direct.headers['x-amz-server-side-encryption-aws-kms-key-id'], 'key');
});

test('the SDK repeats what has failed, and stores all after a refusal', async (context) => {
  await using service = await startService(context);

  service.statuses.push(503);
  assert.equal(await service.put(), '"1"');
  assert.deepEqual(service.bySdk(), [false, true]);

  service.statuses.push(412);
  await assert.rejects(service.put(), PreconditionError);
  assert.deepEqual(service.bySdk(), [false]);

  service.statuses.push(403);
  assert.equal(await service.put(), '"1"');
  assert.equal(await service.put(), '"1"');
  assert.deepEqual(service.bySdk(), [false, true, true]);
});
