import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { ZERO_OID } from '#git/names/object-id';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Quarantine } from '#storage/quarantine/quarantine';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { prepareUpdate } from './quarantined-update.ts';

async function makeBlob({ repository }: Quarantine) {
  await using writer = new ObjectWriter(repository, repository.objectFormat);
  const newOid = await writer.write('blob', Buffer.from('new\n'));
  await writer.finish();
  return { reference: Buffer.from('refs/blobs/new'), oldOid: ZERO_OID.sha1, newOid };
}

test('the objects of a prepared update are in its quarantine until it is disposed', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const quarantines: Quarantine[] = [];

  const prepared = await prepareUpdate(repository, (quarantine) => {
    quarantines.push(quarantine);
    return makeBlob(quarantine);
  });

  const { newOid } = prepared.value;
  assert.equal((await quarantines[0]?.repository.objects.info(newOid))?.type, 'blob');
  assert.equal(await repository.objects.info(newOid), undefined);

  await prepared[Symbol.asyncDispose]();

  assert.deepEqual(readdirSync(`${fixture.storage.path}/+gitaly/tmp`), []);
});

test('an update that cannot be prepared leaves no quarantine', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');

  const prepared = prepareUpdate(repository, async (quarantine) => {
    await makeBlob(quarantine);
    throw new Error('merge conflict');
  });

  await assert.rejects(prepared, { message: 'merge conflict' });
  assert.deepEqual(readdirSync(`${fixture.storage.path}/+gitaly/tmp`), []);
});
