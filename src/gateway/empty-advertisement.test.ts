import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import { emptyAdvertisement, withoutAdvertisement } from './empty-advertisement.ts';

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
