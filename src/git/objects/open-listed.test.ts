import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { type Looked, openListed } from './open-listed.ts';

const path = join(makeScratchDirectory('open-listed'), 'x.git');
initRepository(path);
const git = await GitFixture.start();
const objects = git.open(path).objects;
after(async () => {
  await git.close();
  rmSync(join(path, '..'), { recursive: true });
});
const blob = (data: Buffer): string => gitOutput(path, ['hash-object', '-w', '--stdin'], data);
const look = async (oid: string): Promise<Looked> => {
  const info = await objects.info(oid);
  if (oid === 'fails') throw new Error('this one fails');
  return { info, isWanted: info !== undefined };
};

test('objects come in the order of the list, big ones through one process at a time', async () => {
  const contents = Array.from({ length: 12 }, (_, index) => randomBytes(index % 3 === 0 ? 400_000 : 30));
  const oids = contents.map(blob);
  const items = [...oids, '1'.repeat(40), ...oids];

  const found: (Buffer | undefined)[] = [];
  for await (const { object } of openListed(objects, items, { look })) {
    const chunks: Buffer[] = [];
    for await (const chunk of object?.stream ?? []) chunks.push(chunk as Buffer);
    found.push(object === undefined ? undefined : Buffer.concat(chunks));
    await until(() => git.caches.catFiles.counts.running <= 2);
  }

  assert.deepEqual(found, [...contents, undefined, ...contents]);
});

test('more than a group of objects, and more bytes than are read ahead, are read whole', async () => {
  const small = blob(Buffer.from('small'));
  const large = blob(randomBytes(200_000));
  const items = Array.from({ length: 300 }, (_, index) => (index % 4 === 0 ? large : small));

  const sizes: (number | undefined)[] = [];
  for await (const { object } of openListed(objects, items, { look })) sizes.push(object?.data?.length);

  assert.deepEqual(
    sizes,
    items.map((oid) => (oid === large ? 200_000 : 5)),
  );
});

test('a look-up that fails does so in its turn', async () => {
  const oid = blob(Buffer.from('x'));
  const seen: string[] = [];

  await assert.rejects(
    async () => {
      for await (const { item } of openListed(objects, [oid, oid, 'fails', oid], { look })) seen.push(item);
    },
    { message: 'this one fails' },
  );

  assert.deepEqual(seen, [oid, oid]);
});
