import assert from 'node:assert/strict';
import { createReadStream, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { initRepository, referenceBackends } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { BundleHeader } from './bundle-header.ts';
import { fetchBundle } from './fetch-bundle.ts';
import { fillFromBundle } from './fill-from-bundle.ts';

const { signal } = new AbortController();
const FORMATS = (['sha1', 'sha256'] as const).flatMap((objectFormat) =>
  referenceBackends().map((referenceBackend) => ({ objectFormat, referenceBackend })),
);
/** Number of references with which a header is long. */
const MANY = 1000;

/** Makes a repository with references of all kinds. */
function makeSource(fixture: StorageFixture, objectFormat: 'sha1' | 'sha256', many = 0): string {
  const { path } = fixture.init('source.git', { commits: 3, objectFormat });
  const git = (...args: string[]): string => fixture.runGit(path, args);
  git('tag', '-a', '-m', 'one', 'annotated', 'main~1');
  git('tag', '-a', '-m', 'two', 'of-tag', 'annotated');
  git('tag', '-a', '-m', 'three', 'of-tree', 'main^{tree}');
  git('update-ref', 'refs/misc/tree', 'main^{tree}');
  git('update-ref', 'refs/keep-around/1', 'main~2');
  for (const name of ['a', 'a-b', 'a.b/c', '\u00e4', 'a0/x']) git('branch', name, 'main~1');
  const main = git('rev-parse', 'main');
  const lines = Array.from({ length: many }, (_, index) => `create refs/pipelines/${index} ${main}\n`);
  fixture.runGit(path, ['update-ref', '--stdin'], lines.join(''));
  return path;
}

function bundleOf(fixture: StorageFixture, source: string): string {
  const bundle = join(fixture.root, 'x.bundle');
  fixture.runGit(source, ['bundle', 'create', '--quiet', bundle, '--all']);
  return bundle;
}

async function fill(draft: Repository, bundle: string): Promise<boolean> {
  const headerBytes = readFileSync(bundle).indexOf('\n\n') + 2;
  await using file = await open(bundle);
  const header = await BundleHeader.read(file, headerBytes);
  return header !== undefined && (await fillFromBundle(draft, { header, file, signal }));
}

for (const { objectFormat, referenceBackend } of FORMATS) {
  test(`a bundle fills a repository as git's fetch: ${objectFormat}, ${referenceBackend}`, async () => {
    await using fixture = await StorageFixture.create();
    const source = makeSource(fixture, objectFormat);
    const bundle = bundleOf(fixture, source);
    const draft = fixture.init('draft.git', { objectFormat, referenceBackend });
    const expected = join(fixture.root, 'expected.git');
    initRepository(expected, { objectFormat, referenceBackend });
    fixture.runGit(expected, ['fetch', '--quiet', bundle, '+refs/*:refs/*']);
    fixture.runGit(expected, ['pack-refs', '--all']);

    assert.equal(await fill(draft, bundle), true);

    const listed = fixture.runGit(source, ['show-ref', '--dereference']);
    assert.equal(fixture.runGit(draft.path, ['show-ref', '--dereference']), listed);
    if (referenceBackend === 'files')
      assert.equal(
        readFileSync(`${draft.path}/packed-refs`, 'latin1'),
        readFileSync(`${expected}/packed-refs`, 'latin1'),
      );
    assert.equal(fixture.runGit(draft.path, ['fsck', '--strict', '--connectivity-only']), '');
    assert.deepEqual(
      readdirSync(draft.path).filter((name) => name.endsWith('.lock')),
      [],
    );
    const read = await Array.fromAsync(draft.refs.list({ patterns: [Buffer.from('refs/')] }, { peel: true }));
    const lines = read.flat().flatMap(({ name, oid, peeledOid }) => {
      const line = `${oid} ${name}`;
      return peeledOid === undefined ? [line] : [line, `${peeledOid} ${name}^{}`];
    });
    assert.equal(lines.join('\n'), listed);
  });

  test(`a bundle of many references is fetched as by git: ${objectFormat}, ${referenceBackend}`, async () => {
    await using fixture = await StorageFixture.create();
    const source = makeSource(fixture, objectFormat, MANY);
    fixture.runGit(source, ['symbolic-ref', 'HEAD', 'refs/heads/a']);
    const bundle = bundleOf(fixture, source);
    const refs = fixture.runGit(source, ['show-ref']);
    const fetch = async (name: string, isDraft: boolean, prepare = (_path: string): void => {}) => {
      const target = fixture.init(name, { objectFormat, referenceBackend });
      prepare(target.path);
      const options = { updateHead: true, hooks: undefined, isDraft, signal };
      await fetchBundle(target, createReadStream(bundle), options);
      return target.path;
    };

    const draft = await fetch('draft.git', true);
    assert.equal(fixture.runGit(draft, ['show-ref']), refs);
    assert.equal(fixture.runGit(draft, ['symbolic-ref', 'HEAD']), 'refs/heads/a');
    assert.deepEqual(readdirSync(`${draft}/objects/pack`).length > 1, true);
    if (referenceBackend === 'files') assert.ok(!existsSync(`${draft}/refs/pipelines`), 'no files');

    const visible = await fetch('visible.git', false);
    assert.equal(fixture.runGit(visible, ['show-ref']), refs);

    const other = await fetch('other.git', true, (path) => {
      fixture.commit(path);
      fixture.runGit(path, ['update-ref', 'refs/other', 'main']);
    });
    fixture.runGit(other, ['update-ref', '-d', 'refs/other']);
    assert.equal(fixture.runGit(other, ['show-ref']), refs);
  });
}

/** A header and a pack that git has to refuse. Ids replace `HEX`, of a commit, and `TAG`. */
interface Case {
  readonly lines: readonly string[];
  readonly pack?: (pack: Buffer) => Buffer;
}
const REFUSED: Readonly<Record<string, Case>> = {
  'a name that git refuses': { lines: ['HEX refs/heads/a..b'] },
  'a name outside refs': { lines: ['HEX x/y'] },
  'a name with a space at its end': { lines: ['HEX refs/heads/a '] },
  'a name that is too long for a file': { lines: [`HEX refs/heads/${'a'.repeat(252)}`] },
  'a line that is no reference': { lines: ['HEX'] },
  'an id in upper case': { lines: [`${'AB'.repeat(20)} refs/heads/a`] },
  'names in another order': { lines: ['HEX refs/heads/b', 'HEX refs/heads/a'] },
  'one name twice': { lines: ['HEX refs/heads/a', 'HEX refs/heads/a'] },
  'a name below another one': {
    lines: ['HEX refs/heads/a', 'HEX refs/heads/a-b', 'HEX refs/heads/a/b'],
  },
  'HEAD twice': { lines: ['HEX HEAD', 'HEX HEAD'] },
  'very many prerequisites': { lines: Array.from({ length: 5000 }, () => '-HEX') },
  'a branch of a tag': { lines: ['TAG refs/heads/a'] },
  'an object that is missing': { lines: [`${'ab'.repeat(20)} refs/tags/a`] },
  'a pack that is cut off': { lines: ['HEX refs/heads/a'], pack: (pack) => pack.subarray(0, -30) },
  'a pack with a wrong byte': {
    lines: ['HEX refs/heads/a'],
    pack: (pack) => Buffer.concat([pack.subarray(0, 20), Buffer.from('x'), pack.subarray(21)]),
  },
  'a pack without the parents': { lines: ['HEX refs/heads/a'], pack: () => Buffer.alloc(0) },
  'a prerequisite that is missing': { lines: [`-${'ab'.repeat(20)} x`, 'HEX refs/heads/a'] },
};

for (const referenceBackend of referenceBackends())
  for (const [name, { lines, pack = (whole: Buffer) => whole }] of Object.entries(REFUSED))
    test(`a bundle with ${name} changes nothing: ${referenceBackend}`, async () => {
      await using fixture = await StorageFixture.create();
      const source = makeSource(fixture, 'sha1', MANY);
      const main = fixture.runGit(source, ['rev-parse', 'main']);
      const tag = fixture.runGit(source, ['rev-parse', 'annotated']);
      const alone = join(fixture.root, 'alone');
      const file = fixture.runGit(source, ['pack-objects', '--quiet', alone], `${main}\n`);
      const bytes = readFileSync(bundleOf(fixture, source));
      const whole = pack(bytes.subarray(bytes.indexOf('\n\n') + 2));
      const used = whole.length > 0 ? whole : readFileSync(`${alone}-${file}.pack`);
      const text = lines.map((line) => `${line.replace('HEX', main).replace('TAG', tag)}\n`).join('');
      const rest = Array.from(
        { length: MANY },
        (_, index) => `${main} refs/pipelines/${String(index).padStart(9, '0')}\n`,
      );
      const bundle = join(fixture.root, 'bad.bundle');
      writeFileSync(bundle, Buffer.concat([Buffer.from(`# v2 git bundle\n${text}${rest.join('')}\n`), used]));
      const draft = fixture.init('draft.git', { referenceBackend });

      assert.equal(await fill(draft, bundle), false);

      assert.equal(fixture.runGit(draft.path, ['for-each-ref']), '');
      assert.ok(!existsSync(`${draft.path}/packed-refs.lock`));
    });

test('a bundle that git refuses is refused with its words', async () => {
  await using fixture = await StorageFixture.create();
  const bytes = readFileSync(bundleOf(fixture, makeSource(fixture, 'sha1', MANY)));
  const draft = fixture.init('draft.git');
  const target = fixture.init('target.git');
  const cut = async function* () {
    yield bytes.subarray(0, -40);
  };
  const refusal = async (repository: Repository, isDraft: boolean): Promise<string> => {
    const options = { updateHead: false, hooks: undefined, isDraft, signal };
    const error = await fetchBundle(repository, cut(), options).catch((reason: Error) => reason);
    assert.ok(error instanceof Error);
    return error.message;
  };

  assert.match(await refusal(draft, true), /^exit status 1(28)?, stderr: ".*index-pack/);
  assert.match(await refusal(target, false), /^exit status 1(28)?, stderr: ".*index-pack/);
  for (const { path } of [draft, target]) assert.equal(fixture.runGit(path, ['for-each-ref']), '');
});

test('an aborted call does not begin again with git', async () => {
  await using fixture = await StorageFixture.create();
  const bundle = bundleOf(fixture, makeSource(fixture, 'sha1', MANY));
  const draft = fixture.init('draft.git');
  const abort = new AbortController();
  const headerBytes = readFileSync(bundle).indexOf('\n\n') + 2;
  await using file = await open(bundle);
  const header = await BundleHeader.read(file, headerBytes);
  assert.ok(header);

  const filling = fillFromBundle(draft, { header, file, signal: abort.signal });
  abort.abort();

  await assert.rejects(filling);
  assert.equal(fixture.runGit(draft.path, ['for-each-ref']), '');
});
