import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checksumOf, END_OF_ARCHIVE, paddingOf } from '#base/tar/tar-format';
import { tarHeader } from '#base/tar/tar-header';
import { hasRules } from '#domain/hooks/push-rules/repository-rules';
import { writeSetting } from '#domain/settings/kept-settings';
import { extractArchive } from '#storage/archive/extract-archive';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { extractHooks } from './extract-hooks.ts';
import { setHooks } from './set-hooks.ts';

const TIMES = 100;
const { signal } = new AbortController();

async function* nothing(): AsyncGenerator<Buffer> {}

const T = 'custom_hooks';

/** Returns an entry; `type` is the flag of the header. */
function entry(name: string, type = '0', { content = '', link = '' } = {}): Buffer {
  const header = tarHeader({
    name: Buffer.from(name),
    type: 'file',
    mode: 0o755,
    size: content.length,
    mtime: 0,
  });
  const last = header.subarray(-512);
  last.write(type, 156);
  last.write(link, 157);
  last.write(`${checksumOf(last).toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, Buffer.from(content), Buffer.alloc(paddingOf(content.length))]);
}

const file = (name: string, content = 'x') => entry(name, '0', { content });
const directory = (name: string) => entry(`${name}/`, '5');
const link = (name: string, target: string) => entry(name, '2', { link: target });
const hardLink = (name: string, target: string) => entry(name, '1', { link: target });

/**
 * Archives whose entries do not fit together. The errors of system calls passed through for eleven
 * of them; for the first two SetCustomHooks returned
 * `INTERNAL panic: The value of "err" is out of range`.
 */
const ODD: Readonly<Record<string, Buffer[]>> = {
  'a directory, then a file of its name': [directory(T), directory(`${T}/a`), file(`${T}/a`)],
  'a directory with a file, then a file of its name': [file(`${T}/a/b`), file(`${T}/a`)],
  'a file, then a directory of its name': [file(`${T}/a`), directory(`${T}/a`)],
  'a file, then a file below it': [file(`${T}/a`), file(`${T}/a/b`)],
  'a directory, then a link of its name': [file(`${T}/a/b`), link(`${T}/a`, '/etc')],
  'a link, then a file below it': [link(`${T}/a`, '/nowhere'), file(`${T}/a/b`)],
  'a link, then a directory of its name': [link(`${T}/a`, '/nowhere'), directory(`${T}/a`), file(`${T}/a/b`)],
  'a link to its parent, then a file of its name': [link(`${T}/a`, '..'), file(`${T}/a`), file(`${T}/a`)],
  'a link without a target': [link(`${T}/a`, '')],
  'a hard link to nothing': [hardLink(`${T}/a`, `${T}/none`)],
  'a hard link to itself': [hardLink(`${T}/a`, `${T}/a`)],
  'a hard link to a directory': [directory(`${T}/d`), hardLink(`${T}/a`, `${T}/d`)],
  'a hard link to another place': [hardLink(`${T}/a`, '/etc/passwd')],
  'a hard link upwards': [hardLink(`${T}/a`, `${T}/../../x`)],
  'a hard link through a link': [link(`${T}/l`, '/etc'), hardLink(`${T}/a`, `${T}/l/passwd`)],
  'the same file twice': [file(`${T}/a`, 'one'), file(`${T}/a`, 'two')],
  'a character device': [entry(`${T}/a`, '3')],
  'a block device': [entry(`${T}/a`, '4')],
  'a pipe': [entry(`${T}/a`, '6')],
  'an unknown type': [entry(`${T}/a`, 'Z')],
  'a sparse file': [entry(`${T}/a`, 'S', { content: 'x' })],
  'a volume header': [entry(`${T}/a`, 'V')],
  'an absolute path': [file('/tmp/evil')],
  'a path upwards': [file(`${T}/../../evil`), file('../evil')],
  'a name that is too long for the system': [file(`${T}/${'n'.repeat(300)}`)],
  'a path that is too long': [file(`${T}/${'n/'.repeat(3000)}x`)],
  'the top as a file, then a file below it': [file(T), file(`${T}/a`)],
  'the top as a link': [link(T, '/etc'), file(`${T}/a`)],
  'nothing but a long name': [entry('././@LongLink', 'L', { content: `${T}/x\0` })],
  'a long name that is cut off': [entry('././@LongLink', 'L', { content: `${T}/x\0` }).subarray(0, 600)],
  'a file that is cut off': [file(`${T}/a`, 'y'.repeat(2000)).subarray(0, 1200)],
};

async function* one(...parts: Buffer[]): AsyncGenerator<Buffer> {
  yield Buffer.concat(parts);
}

/** Ends in one of the ways that callers expect; a failed system call is none. */
async function ended(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    assert.ok(error instanceof Error);
    if (error.name === 'TarFormatError') return 'damaged';
    assert.deepEqual(
      [error.name, 'code' in error && error.code],
      ['GitalyError', 'INVALID_ARGUMENT'],
      error.message,
    );
    return 'refused';
  }
}

test('a push never finds a repository without its rules while its hooks are set', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git');
  await writeSetting(repository, 'rules.json', Buffer.from('{"readOnly": [{}]}'), { vote: undefined });
  let isSet = false;
  let missed = 0;
  const look = async (): Promise<void> => {
    while (!isSet) {
      if (!hasRules(repository)) missed++;
      await new Promise(setImmediate);
    }
  };

  const looking = look();
  for (let i = 0; i < TIMES; i++)
    await setHooks(repository, nothing(), { keepsSettings: true, vote: undefined, signal });
  isSet = true;
  await looking;

  assert.equal(missed, 0);
  assert.ok(existsSync(join(repository.path, 'custom_hooks')));
});

for (const [name, parts] of Object.entries(ODD)) {
  test(`an archive with ${name} is unpacked or refused, inside its directory`, async () => {
    await using fixture = await StorageFixture.create();
    for (const [place, unpack] of [
      ['hooks', extractHooks],
      ['snapshot', extractArchive],
    ] as const) {
      const parent = join(fixture.storage.path, `parent-${place}`);
      mkdirSync(join(parent, 'x'), { recursive: true });
      const isWhole = !name.includes('cut off');

      await ended(unpack(one(...parts, ...(isWhole ? [END_OF_ARCHIVE] : [])), join(parent, 'x'), { signal }));

      assert.deepEqual(readdirSync(parent), ['x'], place);
      for (const inside of readdirSync(join(parent, 'x'), { recursive: true, encoding: 'utf8' })) {
        const stats = lstatSync(join(parent, 'x', inside));
        assert.ok(stats.isFile() || stats.isDirectory() || (place === 'hooks' && stats.isSymbolicLink()));
        if (stats.isFile()) assert.equal(stats.nlink, 1, inside);
      }
    }
  });
}
