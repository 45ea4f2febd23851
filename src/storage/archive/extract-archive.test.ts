import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TarFormatError } from '#base/tar/read-tar';
import { checksumOf, END_OF_ARCHIVE, paddingOf } from '#base/tar/tar-format';
import { tarHeader } from '#base/tar/tar-header';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type ExtractOptions, extractArchive } from './extract-archive.ts';

const { signal } = new AbortController();

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('extract');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, 'target'));
  return directory;
}

/** Returns an entry; `type` is the flag of the header. */
function entry(name: string, content = '', type = '0', link = ''): Buffer {
  const size = content.length;
  const header = tarHeader({ name: Buffer.from(name), type: 'file', mode: 0o4777, size, mtime: 0 });
  if (header.length > 512)
    return Buffer.concat([header, Buffer.from(content), Buffer.alloc(paddingOf(size))]);
  header.write(type, 156);
  header.write(link, 157);
  header.write(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, Buffer.from(content), Buffer.alloc(paddingOf(size))]);
}

async function extract(directory: string, entries: Buffer[], options: Partial<ExtractOptions> = {}) {
  const bytes = Buffer.concat([...entries, END_OF_ARCHIVE]);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
  }
  return await extractArchive(pieces(), join(directory, 'target'), { signal, ...options });
}

test('an archive of the tar program is unpacked as tar does', async (context) => {
  const directory = scratch(context);
  const source = join(directory, 'source');
  mkdirSync(join(source, 'a/b'), { recursive: true });
  writeFileSync(join(source, 'a/b/script'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(source, `a/${'long'.repeat(40)}`), Buffer.alloc(100_000, 'x'));
  await run('tar', ['-C', source, '-cf', join(directory, 'x.tar'), '.']);
  const archive = readFileSync(join(directory, 'x.tar'));

  await extractArchive(
    (async function* () {
      yield archive;
    })(),
    join(directory, 'target'),
    { signal },
  );

  const listing = (root: string) =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .map((file) => {
        const path = join(file.parentPath, file.name);
        return [path.slice(root.length), statSync(path).mode, file.isFile() && readFileSync(path, 'latin1')];
      })
      .sort();
  assert.deepEqual(listing(join(directory, 'target')), listing(source));
});

for (const [what, entries] of [
  ['a path with two dots', [entry('../evil', 'x')]],
  ['two dots inside a path', [entry('a/../../evil', 'x')]],
  ['an absolute path', [entry('/tmp/evil', 'x')]],
  ['a symbolic link', [entry('link', '', '2', '..'), entry('link/evil', 'x')]],
  ['a hard link', [entry('link', '', '1', '../secret')]],
  ['a device', [entry('device', '', '3')]],
  ['a pipe', [entry('pipe', '', '6')]],
  ['a path that is too long', [entry('x/'.repeat(3000), 'x')]],
] as const) {
  test(`${what} is refused, and nothing outside changes`, async (context) => {
    const directory = scratch(context);
    writeFileSync(join(directory, 'secret'), 'secret');

    await assert.rejects(extract(directory, [...entries]), { code: 'INVALID_ARGUMENT' });

    assert.deepEqual(readdirSync(directory).sort(), ['secret', 'target']);
    assert.deepEqual(readdirSync(join(directory, 'target')), []);
  });
}

test('a link in the place of a file is not followed', async (context) => {
  const directory = scratch(context);
  writeFileSync(join(directory, 'secret'), 'secret');
  symlinkSync('../secret', join(directory, 'target/file'));

  await assert.rejects(extract(directory, [entry('file', 'x')]));

  assert.equal(readFileSync(join(directory, 'secret'), 'utf8'), 'secret');
});

test('the number of entries and of bytes is limited', async (context) => {
  const directory = scratch(context);
  const entries = [entry('a', 'xx'), entry('b', 'xx'), entry('c', 'xx')];

  for (const options of [{ maxEntries: 2 }, { maxBytes: 5 }])
    await assert.rejects(extract(directory, entries, options), { code: 'RESOURCE_EXHAUSTED' });
  assert.equal(await extract(directory, entries, { maxEntries: 3, maxBytes: 6 }), 3);
});

test('special bits and the permission to write for others are not taken', async (context) => {
  const directory = scratch(context);

  await extract(directory, [entry('file', 'x')]);

  assert.equal(statSync(join(directory, 'target/file')).mode & 0o7777, 0o755);
});

test('unwanted entries are dropped, and others may be changed', async (context) => {
  const directory = scratch(context);

  await extract(directory, [entry('a', 'a'), entry('b', 'b')], {
    isWanted: (path) => path === 'a',
    filter: () => (content) => Buffer.concat([content, content]),
  });

  assert.deepEqual(readdirSync(join(directory, 'target')), ['a']);
  assert.equal(readFileSync(join(directory, 'target/a'), 'utf8'), 'aa');
});

test('an archive that breaks off inside a file is damaged, whatever the file', async (context) => {
  const directory = scratch(context);
  const archive = (async function* () {
    yield entry('file', 'x'.repeat(2000)).subarray(0, 1024);
  })();

  await assert.rejects(extractArchive(archive, join(directory, 'target'), { signal }), (error: unknown) => {
    assert.ok(error instanceof TarFormatError);
    assert.doesNotMatch(error.message, /extracting/);
    return true;
  });
});

test('a file that cannot be written is named', async (context) => {
  const directory = scratch(context);
  mkdirSync(join(directory, 'target/full/deep'), { recursive: true });

  await assert.rejects(extract(directory, [entry('full', 'x')]), {
    message: /^extracting file full: a directory of the archive is in place of a file$/,
  });
  await assert.rejects(extract(directory, [entry('a', 'x'), entry('a/b', 'x')]), {
    message: 'extracting file a/b: a file of the archive is in place of a directory',
  });
});

test('an empty directory gives way to a file, and directories have their modes', async (context) => {
  const directory = scratch(context);
  mkdirSync(join(directory, 'target/empty'));

  await extract(directory, [entry('empty', 'x'), entry('deep/er/', '', '5')]);

  assert.equal(readFileSync(join(directory, 'target/empty'), 'utf8'), 'x');
  assert.equal(statSync(join(directory, 'target/deep/er')).mode & 0o7777, 0o755);
});

test('an abort ends the unpacking between two entries and inside of one', async (context) => {
  const directory = scratch(context);
  for (const pieces of [
    [entry('a', 'x'), entry('b', 'x')],
    [entry('a', 'x'.repeat(2000)).subarray(0, 1024), Buffer.alloc(5000)],
  ]) {
    const controller = new AbortController();
    const archive = (async function* () {
      for (const piece of pieces) {
        yield piece;
        controller.abort(new Error('enough'));
      }
    })();

    const unpacked = extractArchive(archive, join(directory, 'target'), { signal: controller.signal });
    await assert.rejects(unpacked, { message: /enough/ });
    assert.deepEqual(readdirSync(join(directory, 'target')), ['a']);
  }
});

test('only a small file is changed', async (context) => {
  const directory = scratch(context);
  const filter = () => (content: Buffer) => content.subarray(0, 1);
  const file = (bytes: number) => entry('file', 'x'.repeat(bytes));

  await extract(directory, [file(1 << 20)], { filter });
  assert.equal(readFileSync(join(directory, 'target/file'), 'utf8'), 'x');
  await assert.rejects(extract(directory, [file((1 << 20) + 1)], { filter }), {
    message: 'extracting file file: file too large',
  });
});
