import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { startApi } from '#testkit/servers/start-api';
import { OPERATIONS } from './operations/table.ts';

test('the OpenAPI document is valid, and has every operation of the table', async () => {
  await using api = await startApi();

  const { json, status } = await api.send('GET', '/openapi.json');

  assert.equal(status, 200);
  const checker = new Validator();
  const { errors, valid } = await checker.validate(structuredClone(json));
  assert.ok(valid, JSON.stringify(errors ?? []).slice(0, 1000));
  assert.equal(checker.version, '3.1');
  const ids = Object.values(json.paths as Record<string, Record<string, { operationId: string }>>)
    .flatMap((methods) => Object.values(methods))
    .map(({ operationId }) => operationId);
  assert.deepEqual(ids.sort(), OPERATIONS.map(({ id }) => id).sort());
});

test('a document is compressed only for a client that accepts it', async () => {
  await using api = await startApi();
  const encodingFor = async (accepted: string): Promise<string | null> => {
    const headers = { 'Accept-Encoding': accepted };
    return (await api.send('GET', '/openapi.json', { headers })).headers.get('content-encoding');
  };

  assert.equal(await encodingFor('gzip'), 'gzip');
  assert.equal(await encodingFor('gzip;q=0, identity'), null);
});
