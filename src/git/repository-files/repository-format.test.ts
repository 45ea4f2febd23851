import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { RepositoryFormats, requireObjectFormat } from './repository-format.ts';

const directory = makeScratchDirectory('format');
after(() => rmSync(directory, { recursive: true }));

test('the object format comes from the config file, and is read anew when the file changes', () => {
  const [sha1, sha256] = [join(directory, 'sha1.git'), join(directory, 'sha256.git')];
  const missing = join(directory, 'missing');
  initRepository(sha1);
  initRepository(sha256, { objectFormat: 'sha256' });
  const formats = new RepositoryFormats();
  const objectFormat = (path: string) => requireObjectFormat(formats.of({ path }));

  assert.equal(objectFormat(sha256), 'sha256');
  assert.equal(objectFormat(sha1), 'sha1');
  writeFileSync(join(sha1, 'config'), '[extensions]\n\tobjectFormat = md5\n');
  assert.throws(() => objectFormat(sha1), { message: 'unknown object format: "md5"' });
  assert.throws(() => objectFormat(missing), {
    message: `open: open ${missing}/config: no such file or directory`,
  });
  assert.equal(formats.find({ path: missing }), undefined);
});
