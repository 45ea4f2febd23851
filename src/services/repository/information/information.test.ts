import assert from 'node:assert/strict';
import { chmodSync, globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startWithRepository } from '#testkit/servers/start-with-repository';

const repository = { storageName: 'default', relativePath: 'x.git' };
const bytes = (text: string) => Buffer.from(text);

for (const objectFormat of ['sha1', 'sha256'] as const) {
  describe(objectFormat, () => {
    test('ObjectsSize agrees with git about ranges and pseudo-revisions', async () => {
      await using fixture = await startWithRepository({ objectFormat });
      const { directory, calls } = fixture;
      commitFiles(directory, { a: 'a'.repeat(1000), b: 'b' });
      commitFiles(directory, { a: 'changed', 'd/c': 'x' });
      gitOutput(directory, ['update-ref', 'refs/heads/old', 'main~1']);

      for (const revisions of [
        ['main'],
        ['main~1..main'],
        ['--all'],
        ['main', '^old'],
        ['old', '--not', 'main'],
      ]) {
        const expected = gitOutput(directory, ['rev-list', '--disk-usage', '--objects', ...revisions]);
        const { size } = await calls.objectsSize([{ repository, revisions: revisions.map(bytes) }]);
        assert.equal(String(size), expected, revisions.join(' '));
        const inParts = revisions.map((revision, index) => ({
          ...(index === 0 && { repository }),
          revisions: [bytes(revision)],
        }));
        assert.equal(String((await calls.objectsSize(inParts)).size), expected, `${revisions} in parts`);
      }
    });

    test('FindMergeBase agrees with git about two and three revisions', async () => {
      await using fixture = await startWithRepository({ objectFormat });
      const { directory, calls } = fixture;
      commitFiles(directory, { base: '1' });
      gitOutput(directory, ['update-ref', 'refs/heads/side', 'main']);
      gitOutput(directory, ['update-ref', 'refs/heads/third', 'main']);
      commitFiles(directory, { main: '1' });
      commitFiles(directory, { side: '1' }, { ref: 'refs/heads/side' });
      commitFiles(directory, { third: '1' }, { ref: 'refs/heads/third' });
      commitFiles(directory, { alone: '1' }, { ref: 'refs/heads/alone' });

      for (const revisions of [
        ['main', 'side'],
        ['main~1', 'main'],
        ['main', 'side', 'third'],
        ['main^0', 'side'],
      ]) {
        const { base } = await calls.findMergeBase({ repository, revisions: revisions.map(bytes) });
        assert.equal(base, gitOutput(directory, ['merge-base', ...revisions]), revisions.join(' '));
      }
      for (const revisions of [
        ['main', 'alone'],
        ['main', 'nothing'],
        ['main', ''],
        ['main', 'side', 'nothing'],
      ]) {
        const { base } = await calls.findMergeBase({ repository, revisions: revisions.map(bytes) });
        assert.equal(base, '', revisions.join(' '));
      }
    });

    test('Fsck finds a sound repository without problems, and reports a missing object', async () => {
      await using fixture = await startWithRepository({ objectFormat });
      const { directory, calls } = fixture;
      commitFiles(directory, { a: 'content' });
      gitOutput(directory, ['unpack-objects', '-q'], packOf(directory));
      assert.equal((await calls.fsck({ repository })).error.length, 0);

      gitOutput(directory, ['update-ref', 'refs/heads/broken', gitOutput(directory, ['rev-parse', 'main'])]);
      writeFileSync(
        join(directory, 'refs/heads/broken'),
        `${'1'.repeat(objectFormat === 'sha1' ? 40 : 64)}\n`,
      );

      const { error } = await calls.fsck({ repository });
      assert.match(Buffer.from(error).toString(), /refs\/heads\/broken: invalid sha1 pointer 1111/);
    });

    test('GetFileAttributes returns the attributes of a revision', async () => {
      await using fixture = await startWithRepository({ objectFormat });
      const { directory, calls } = fixture;
      commitFiles(directory, {
        '.gitattributes':
          '*.doc text diff=markdown\n*.bin binary\n[attr]mine lock size=9\n*.m mine\n/top -text\n',
        'd/.gitattributes': '*.doc !diff -text\nö.txt value=grün\n',
        'd/a.doc': '',
      });
      const oldest = gitOutput(directory, ['rev-parse', 'main']);
      commitFiles(directory, { 'a.doc': '' });

      const attributes = ['text', 'diff', 'binary', 'mine', 'lock', 'size', 'value'];
      const paths = ['a.doc', './d//a.doc', 'x.bin', 'd/e/../x.m', 'top', 'd/top', 'none', 'd/ö.txt', ''];
      const { attributeInfos } = await calls.getFileAttributes({
        repository,
        revision: bytes(oldest),
        paths,
        attributes,
      });
      const found = attributeInfos.map(({ path, attribute, value }) => `${path}: ${attribute}: ${value}`);

      assert.deepEqual(found, checkAttr(directory, oldest, { paths, attributes }));
      assert.ok(found.length > 8, found.join('; '));
      const later = await calls.getFileAttributes({ repository, revision: bytes('main'), paths, attributes });
      assert.deepEqual(later.attributeInfos, []);
    });
  });
}

test('GetFileAttributes refuses paths and names that git refuses', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  commitFiles(directory, { a: '' });
  const ask = (paths: string[], attributes: string[], revision = 'main') =>
    calls.getFileAttributes({ repository, revision: bytes(revision), paths, attributes });
  const eof = { code: 'INTERNAL', message: 'check attr: read line: EOF' };

  await assert.rejects(ask(['../x'], ['text']), eof);
  await assert.rejects(ask(['a', 'd/../../x'], ['text']), eof);
  await assert.rejects(ask(['/a'], ['text']), eof);
  await assert.rejects(ask(['a'], ['te xt']), eof);
  await assert.rejects(ask(['a'], ['']), eof);
  await assert.rejects(ask(['a'], ['text'], 'none'), eof);
  await assert.rejects(ask(['a\0b'], ['text']), { message: 'check attr: path with NUL byte not allowed' });
});

// Every directory above a path was looked up by its whole name: a minute for a path of 64 KiB, and
// hours of the event loop for this one.
test('a path of half a million directories has attributes', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  commitFiles(directory, { '.gitattributes': '* x=top\n', 'a/.gitattributes': '* x=a\n' });
  const startMs = performance.now();

  const { attributeInfos } = await calls.getFileAttributes({
    repository,
    revision: bytes('main'),
    paths: ['a/'.repeat(500_000), 'b/'.repeat(500_000)],
    attributes: ['x'],
  });

  assert.deepEqual(
    attributeInfos.map(({ value }) => value),
    ['a', 'top'],
  );
  assert.ok(performance.now() - startMs < 20_000);
});

test('SetFullPath writes a value that FullPath and git read', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  await assert.rejects(calls.fullPath({ repository }), {
    code: 'INTERNAL',
    message: 'fetch config: exit status 1',
  });
  const before = readFileSync(join(directory, 'config'), 'utf8');

  for (const path of ['group/project', 'other "name" # ; \\ ümlaut', '  spaces  ', 'two\nlines']) {
    await calls.setFullPath({ repository, path });
    assert.equal((await calls.fullPath({ repository })).path, path);
    assert.equal(gitOutput(directory, ['config', '-z', 'gitlab.fullpath']), `${path}\0`);
  }

  const config = readFileSync(join(directory, 'config'), 'utf8');
  assert.ok(config.startsWith(before));
  assert.equal(config.match(/fullpath/g)?.length, 1);
  assert.equal(statSync(join(directory, 'config')).mode & 0o777, 0o644);
});

test('SetFullPath leaves the file alone when it cannot write it', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  const before = readFileSync(join(directory, 'config'), 'utf8');
  writeFileSync(join(directory, 'config.lock'), '');

  await assert.rejects(calls.setFullPath({ repository, path: 'a' }), {
    code: 'INTERNAL',
    message: 'setting config: file already locked',
  });
  await assert.rejects(calls.setFullPath({ repository, path: '' }), {
    code: 'INVALID_ARGUMENT',
    message: 'no path provided',
  });
  await assert.rejects(calls.setFullPath({ repository, path: 'nul\0' }), { code: 'INTERNAL' });

  assert.equal(readFileSync(join(directory, 'config'), 'utf8'), before);
});

test('of SetFullPath calls at the same time each one succeeds or reports the lock', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;

  const results = await Promise.allSettled(
    Array.from({ length: 6 }, (_, index) => calls.setFullPath({ repository, path: `path/${index}` })),
  );

  assert.ok(results.some(({ status }) => status === 'fulfilled'));
  for (const result of results)
    if (result.status === 'rejected') assert.match(String(result.reason), /file already locked/);
  assert.match(gitOutput(directory, ['config', 'gitlab.fullpath']), /^path\/\d$/);
});

// git: `--no-full` leaves out all packs, and checks loose objects of alternates nevertheless.
test('Fsck checks the packs of alternates, unless only the repository is wanted', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls, gitaly } = fixture;
  commitFiles(directory, { a: 'content' });
  const pool = initServed(gitaly, 'pool.git');
  commitFiles(pool, { b: 'of the pool' });
  gitOutput(pool, ['repack', '-a', '-d', '-q']);
  const [pack = ''] = globSync(join(pool, 'objects/pack/*.pack'));
  chmodSync(pack, 0o644);
  const data = readFileSync(pack);
  writeFileSync(pack, data.fill(0, data.length - 40, data.length - 20)); // before the checksum
  writeFileSync(join(directory, 'objects/info/alternates'), '../../pool.git/objects\n');

  const report = async (repoOnly: boolean): Promise<string> =>
    Buffer.from((await calls.fsck({ repository, repoOnly })).error).toString();

  assert.match(await report(false), /pool\.git\/objects\/pack\/pack-\w+\.pack/);
  assert.equal(await report(true), '');
});

test('a long report of Fsck is cut off below the limit of a message', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  const lines = Array.from(
    { length: 20_000 },
    (_, index) => `${'1'.repeat(40)} refs/heads/${'x'.repeat(240)}${100_000 + index}\n`,
  );
  writeFileSync(join(directory, 'packed-refs'), lines.join(''));

  const { error } = await calls.fsck({ repository });

  assert.match(Buffer.from(error).toString(), /invalid sha1 pointer 1111/);
  assert.ok(error.length > 1e6 && error.length < 4 << 20, `${error.length}`);
});

function packOf(directory: string): Buffer {
  const name = gitOutput(directory, ['rev-list', '--objects', '--all']);
  const target = join(directory, 'objects/pack/extra');
  const hash = gitOutput(directory, ['pack-objects', '-q', target], `${name}\n`);
  return readFileSync(`${target}-${hash}.pack`);
}

interface Attributes {
  readonly paths: readonly string[];
  readonly attributes: readonly string[];
}

/**
 * Returns what `git check-attr` prints about a revision, with an index of that revision: older
 * versions of git know no `--source`.
 */
function checkAttr(directory: string, revision: string, { paths, attributes }: Attributes): string[] {
  gitOutput(directory, ['read-tree', revision]);
  const args = ['check-attr', '--cached', '-z', '--stdin', ...attributes];
  const fields = gitOutput(directory, args, paths.map((path) => `${path}\0`).join('')).split('\0');
  const found: string[] = [];
  for (let at = 0; at + 2 < fields.length; at += 3)
    if (fields[at + 2] !== 'unspecified') found.push(`${fields[at]}: ${fields[at + 1]}: ${fields[at + 2]}`);
  return found;
}
