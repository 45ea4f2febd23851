import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tempRoot } from '#storage/storage-layout';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { spoolBundle } from './spool-bundle.ts';

const HEADER = `# v2 git bundle\n${'1'.repeat(40)} refs/heads/main\n\n`;

test('a bundle is stored until it is disposed of, with the length of its header', async () => {
  await using fixture = await StorageFixture.create();
  const pieces = [HEADER.slice(0, 20), HEADER.slice(20), 'PACK'].map((text) => Buffer.from(text));
  const bundle = await spoolBundle(fixture.storage, streamOf(pieces));

  assert.deepEqual([bundle.isBundle, bundle.hasHeader, bundle.headerBytes], [true, true, HEADER.length]);
  assert.equal(readFileSync(bundle.path, 'utf8'), `${HEADER}PACK`);
  await bundle[Symbol.asyncDispose]();
  assert.equal(existsSync(bundle.path), false);
  assert.deepEqual(readdirSync(tempRoot(fixture.storage)), []);
});

test('what is no bundle, or ends in its header, is stored and reported', async () => {
  await using fixture = await StorageFixture.create();
  const spool = async (text: string): Promise<readonly boolean[]> => {
    await using bundle = await spoolBundle(fixture.storage, streamOf([Buffer.from(text)]));
    assert.equal(readFileSync(bundle.path, 'utf8'), text);
    return [bundle.isBundle, bundle.hasHeader];
  };

  assert.deepEqual(await spool('no bundle\n\n'), [false, false]);
  assert.deepEqual(await spool(HEADER.slice(0, -1)), [true, false]);
});

test('a bundle that is interrupted leaves nothing', async () => {
  await using fixture = await StorageFixture.create();
  const reason = new Error('the client has left');

  const spooling = spoolBundle(fixture.storage, streamOf([Buffer.from(HEADER)], reason));

  await assert.rejects(spooling, (error) => error === reason);
  assert.deepEqual(readdirSync(tempRoot(fixture.storage)), []);
});

async function* streamOf(pieces: readonly Buffer[], end?: Error): AsyncGenerator<Buffer> {
  yield* pieces;
  if (end !== undefined) throw end;
}
