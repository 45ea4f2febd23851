import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import { writeChunk } from '#base/streams/copy-stream';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { AdvertisementWatch, emptyAdvertisement, withoutAdvertisement } from './empty-advertisement.ts';

for (const size of [1, 5, 1000]) {
  test(`only what follows the first flush packet is passed on, in pieces of ${size} bytes`, async () => {
    const rest = Buffer.from('000eunpack ok\n0000');
    const output = Buffer.concat([emptyAdvertisement('sha1', 'version=1'), rest]);
    const target = new PassThrough();
    const filter = withoutAdvertisement(target);

    for (let at = 0; at < output.length; at += size) filter.write(output.subarray(at, at + size));
    filter.end();
    await finished(filter);
    target.end();

    assert.equal((await buffer(target)).toString(), rest.toString());
  });
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  // libgit2 refused to push to a new repository: `unknown object format 'sha1\n'`.
  test(`the advertisement of an empty ${objectFormat} repository has the capabilities of git`, async () => {
    await using fixture = await StorageFixture.create();
    const { path } = fixture.init('x.git', { objectFormat });
    const config = ['-c', 'receive.advertisePushOptions=true'];
    const ofGit = gitOutput(path, [...config, 'receive-pack', '--http-backend-info-refs', path]);

    const own = emptyAdvertisement(objectFormat, '').toString();

    const withoutAgent = (text: string): string =>
      text.replace(/^[0-9a-f]{4}/, '').replace(/agent=git\/\S+/, 'agent');
    assert.equal(withoutAgent(own), withoutAgent(ofGit));
  });
}

// Symptom: `write after end`, and a session that did not end, after a quick push without commands.
for (const [name, before] of [
  ['a watch', (target: Writable) => new AdvertisementWatch().before(target)],
  ['a filter', withoutAdvertisement],
] as const)
  test(`${name} holds nothing that its writer has waited for`, async () => {
    let bytes = 0;
    const target = new Writable({
      write: (chunk, _encoding, done) =>
        setImmediate(() => {
          bytes += chunk.length;
          done();
        }),
    });
    const output = before(target);

    await writeChunk(output, Buffer.from('0000'));
    await writeChunk(output, Buffer.from('0008aaaa'));
    await writeChunk(output, Buffer.from('0008bbbb'));

    target.end(); // as a session does when its command has ended
    await finished(target);
    assert.equal(bytes, name === 'a watch' ? 20 : 16);
  });
