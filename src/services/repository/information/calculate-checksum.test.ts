import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  gitOutput,
  type initRepository,
  initServed,
  referenceBackends,
} from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };
const COUNTS = /HEAD|(refs\/(heads|tags|keep-around|merge-requests|environments|notes)\/)/;

/** Returns the checksum of the lines that git prints, computed with node:crypto. */
function expectedChecksum(directory: string): string {
  const sum = Buffer.alloc(20);
  for (const line of gitOutput(directory, ['show-ref', '--head']).split('\n')) {
    if (!COUNTS.test(line)) continue;
    for (const [index, byte] of createHash('sha1').update(line).digest().entries())
      sum[index] = (sum[index] ?? 0) ^ byte;
  }
  return sum.toString('hex').replace(/^(00)+/, '');
}

async function startWith(options: Parameters<typeof initRepository>[1]) {
  const gitaly = await startGitaly();
  const directory = initServed(gitaly, repository.relativePath, options);
  const checksum = async () =>
    (await gitaly.connection.repository.calculateChecksum({ repository })).checksum;
  return { directory, checksum, [Symbol.asyncDispose]: () => gitaly[Symbol.asyncDispose]() };
}

for (const objectFormat of ['sha1', 'sha256'] as const)
  for (const referenceBackend of referenceBackends()) {
    test(`the checksum follows each change (${objectFormat}, ${referenceBackend})`, async () => {
      await using fixture = await startWith({ commits: 3, objectFormat, referenceBackend });
      const { directory, checksum } = fixture;
      const seen = new Set<string>();
      const check = async (...args: string[]) => {
        if (args.length > 0) gitOutput(directory, args);
        const found = await checksum();
        assert.equal(found, expectedChecksum(directory), args.join(' '));
        seen.add(found);
      };
      await check();

      await check('update-ref', 'refs/heads/other', 'main~1');
      await check('update-ref', 'refs/keep-around/x', 'main~2');
      await check('tag', '-a', '-m', 'tag', 'v1', 'main');
      await check('pack-refs', '--all');
      await check('update-ref', 'refs/heads/other', 'main~2');
      await check('update-ref', 'refs/heads/hidden/by/loose', 'main');
      await check('symbolic-ref', 'refs/heads/alias', 'refs/heads/other');
      await check('symbolic-ref', 'refs/heads/dangling', 'refs/heads/none');
      await check('update-ref', '-d', 'refs/keep-around/x');
      await check('update-ref', 'refs/foo/HEAD', 'main');
      await check('update-ref', 'refs/x/refs/heads/y', 'main');
      await check('symbolic-ref', 'HEAD', 'refs/heads/other');
      await check('symbolic-ref', 'HEAD', 'refs/heads/none');

      assert.ok(seen.size >= 10, 'most changes give another checksum');
      await check('update-ref', 'refs/pipelines/1', 'main');
      await check('pack-refs', '--all');
    });
  }

test('a reference without its object gives the checksum of a broken list, as git refuses it', async () => {
  await using fixture = await startWith({ commits: 2 });
  const { directory, checksum } = fixture;
  gitOutput(directory, ['update-ref', 'refs/heads/broken', 'main']);
  gitOutput(directory, ['pack-refs', '--all']);

  mkdirSync(join(directory, 'refs/heads'), { recursive: true });
  writeFileSync(join(directory, 'refs/heads/broken'), `${'1'.repeat(40)}\n`);

  assert.throws(() => gitOutput(directory, ['show-ref', '--head']), /bad ref/);
  assert.equal(await checksum(), '0'.repeat(40));
});

test('leading zero bytes of a checksum are left out', async () => {
  await using fixture = await startWith({ commits: 1 });
  const { directory, checksum } = fixture;
  let short = '';
  for (let number = 0; short === '' && number < 5000; number++) {
    const name = `refs/heads/b${number}`;
    writeFileSync(join(directory, 'HEAD'), `ref: ${name}\n`);
    const oid = gitOutput(directory, ['rev-parse', 'main']);
    const lines = [`${oid} HEAD`, `${oid} refs/heads/main`, `${oid} ${name}`];
    const first = lines.reduce((byte, line) => byte ^ (createHash('sha1').update(line).digest()[0] ?? 0), 0);
    if (first === 0) short = name;
  }
  gitOutput(directory, ['update-ref', short, 'main']);

  const found = await checksum();

  assert.ok(found.length < 40 && found.length % 2 === 0, found);
  assert.equal(found, expectedChecksum(directory));
});

test('an empty repository and one with a broken packed-refs have a checksum of zeros', async () => {
  await using fixture = await startWith({});
  const { directory, checksum } = fixture;
  assert.equal(await checksum(), '0'.repeat(40));

  writeFileSync(join(directory, 'packed-refs'), 'no reference\n');

  assert.equal(await checksum(), '0'.repeat(40));
});

test('a directory that git does not take for a repository is a loss of data', async () => {
  await using fixture = await startWith({ commits: 1 });
  const { directory, checksum } = fixture;

  rmSync(join(directory, 'HEAD'));
  writeFileSync(join(directory, 'HEAD'), '');

  await assert.rejects(checksum(), { code: 'DATA_LOSS', message: `not a git repository '${directory}'` });
});
