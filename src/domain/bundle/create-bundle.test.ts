import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { quote } from '#base/go/quote';
import { shuffled } from '#base/shuffled';
import type { Repository } from '#storage/repository';
import { gitOutput, initRepository, referenceBackends } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { Template } from '#testkit/repositories/template';
import { runBytes } from '#testkit/run-program';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import type { BundleSelection } from './bundle-selection.ts';
import { bundleOf, bundleOfAll, referencesBundle } from './create-bundle.ts';
import { EmptyBundleError } from './empty-bundle-error.ts';

const { signal } = new AbortController();
const NOTHING: BundleSelection = { added: new Set(), excluded: new Set() };
const RANDOM_SELECTIONS = repetitions('BUNDLE_SELECTIONS', { short: 6, long: 100 });
const MANY = 3000;
/** References to a blob and a tree. New ones are left to git in an increment. */
const NO_COMMITS = ['refs/x/blob', 'refs/x/tree'];
const FORMATS = (['sha1', 'sha256'] as const).flatMap((objectFormat) =>
  referenceBackends().map((referenceBackend) => ({ objectFormat, referenceBackend })),
);

type Format = (typeof FORMATS)[number];

const templates = new Map<Format, Template>();

/** Makes a repository with all kinds of references. */
function makeSource(path: string, format: Format): void {
  initRepository(path, { ...format, commits: 3 });
  const git = (args: readonly string[], input?: string | Buffer): string => gitOutput(path, args, input);
  const commitOf = (tree: string, parent: string, message: string | Buffer, more: readonly string[] = []) =>
    git(['-c', 'i18n.commitEncoding=latin1', 'commit-tree', '-p', parent, ...more, tree], message);
  const blob = git(['hash-object', '-w', '--stdin'], 'a blob');
  const tree = git(['mktree'], `100644 blob ${blob}\tfile\n`);
  const side = commitOf(tree, 'main~1', '   a subject in space \n');
  const merge = commitOf(tree, side, 'a merge\nof two lines\n\nbody', ['-p', 'main']);
  const latin1 = commitOf(tree, merge, Buffer.from('caf\xe9', 'latin1'));
  const references = {
    'refs/heads/side': side,
    'refs/heads/merge': merge,
    'refs/heads/same': merge,
    'refs/heads/latin1': latin1,
    'refs/keep-around/kept': commitOf(tree, latin1, ' '),
    'refs/merge-requests/1/head': git(['rev-parse', 'main~2']),
    'refs/x/long': commitOf(tree, latin1, 'x'.repeat(2 << 20)),
    'refs/x/blob': blob,
    'refs/x/tree': tree,
  };
  const created = Object.entries(references).map(([name, value]) => `create ${name} ${value}\n`);
  git(['update-ref', '--stdin'], created.join(''));
  git(['tag', '-a', '-m', 'x', 'v1', 'main~1']);
  git(['tag', '-a', '-m', 'x', 'v2', 'side']);
  git(['tag', '-a', '-m', 'x', 'of-tag', 'v1']);
  git(['tag', '-a', '-m', 'x', 'of-blob', blob]);
  git(['tag', 'light', 'main']);
  git(['symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/heads/side']);
  git(['symbolic-ref', 'refs/remotes/origin/dangling', 'refs/heads/absent']);
}

/** A copy of a repository with all kinds of references, which is made once. */
class Source {
  readonly repository: Repository;
  readonly path: string;

  constructor({ storage, storages }: StorageFixture, format: Format = FORMATS_DEFAULT) {
    const template = templates.get(format) ?? new Template((path) => makeSource(path, format));
    templates.set(format, template);
    template.copyTo(join(storage.path, 'x.git'));
    this.repository = storages.open({ storageName: 'default', relativePath: 'x.git' });
    this.path = this.repository.path;
  }

  git(args: readonly string[], input?: string | Buffer): string {
    return gitOutput(this.path, args, input);
  }

  oids(...revisions: string[]): Set<string> {
    return new Set(revisions.length === 0 ? [] : this.git(['rev-parse', ...revisions]).split('\n'));
  }

  /** Returns what git creates. */
  async expected({ added, excluded }: BundleSelection): Promise<Bundle> {
    const words = [...added, ...Array.from(excluded, (oid) => `^${oid}`)];
    const args = ['bundle', 'create', '-q', '-', '--ignore-missing', '--all', ...words];
    const { code, stdout, stderr } = await runBytes('git', args, { cwd: this.path, env: GIT_ENVIRONMENT });
    if (code === 0) return this.read(stdout);
    assert.match(stderr.toString(), /^fatal: Refusing to create empty bundle\.$/m);
    return { header: stdout.toString('latin1'), objects: 'empty' };
  }

  /** Returns the header of a bundle, and its objects. */
  read(bundle: Buffer): Bundle {
    const end = bundle.indexOf('\n\n') + 2;
    const scratch = join(this.path, 'scratch');
    initRepository(scratch, { objectFormat: this.repository.objectFormat });
    mkdirSync(join(scratch, 'objects/info'), { recursive: true });
    writeFileSync(join(scratch, 'objects/info/alternates'), `${this.path}/objects\n`);
    gitOutput(scratch, ['index-pack', '--stdin', '--fix-thin'], bundle.subarray(end));
    const folder = join(scratch, 'objects/pack');
    const index = readdirSync(folder).find((name) => name.endsWith('.idx')) ?? '';
    const listed = gitOutput(scratch, ['show-index'], readFileSync(join(folder, index)));
    const objects = listed.split('\n').map((line) => line.split(' ')[1] ?? '');
    rmSync(scratch, { recursive: true });
    return { header: bundle.toString('latin1', 0, end), objects: objects.sort().join('\n') };
  }
}

const [FORMATS_DEFAULT] = FORMATS as [Format];

interface Bundle {
  readonly header: string;
  /** Object ids; `empty` if git refuses to create the bundle. */
  readonly objects: string;
}

/** Returns our bundle; `undefined` if it is left to git. */
async function created(source: Source, selection: BundleSelection): Promise<Bundle | undefined> {
  const pieces: Buffer[] = [];
  const bundle = referencesBundle(source.repository, selection, { signal });
  try {
    for (let next = await bundle.next(); ; next = await bundle.next()) {
      if (next.done !== true) {
        pieces.push(next.value);
        continue;
      }
      if (next.value) return source.read(Buffer.concat(pieces));
      assert.deepEqual(pieces, []);
      return undefined;
    }
  } catch (error) {
    if (!(error instanceof EmptyBundleError)) throw error;
    return { header: Buffer.concat(pieces).toString('latin1'), objects: 'empty' };
  }
}

async function startSource(format?: Format) {
  const fixture = await StorageFixture.create();
  const source = new Source(fixture, format);
  return { source, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

for (const format of FORMATS) {
  const { objectFormat, referenceBackend } = format;
  test(`a bundle of all references is git\u2019s: ${objectFormat}, ${referenceBackend}`, async () => {
    await using started = await startSource(format);
    const { source } = started;

    for (const head of ['refs/heads/side', 'refs/heads/absent', undefined]) {
      if (head !== undefined) source.git(['symbolic-ref', 'HEAD', head]);
      else source.git(['update-ref', '--no-deref', 'HEAD', 'main']);

      const bundle = await created(source, NOTHING);

      assert.deepEqual(bundle, await source.expected(NOTHING));
    }
  });

  test(`increments are git\u2019s: ${objectFormat}, ${referenceBackend}`, async () => {
    await using started = await startSource(format);
    const { source } = started;
    const tips = source.git(['for-each-ref', '--format=%(objectname)']).split('\n');
    const hidden = source.oids('main^{tree}');
    const blob = source.git(['hash-object', '-w', '--stdin'], 'another one');
    const absent = '1'.repeat(blob.length);
    const selections: BundleSelection[] = [
      [['main~1'], []],
      [['main~2', absent], [absent]],
      [[absent], []],
      [['v1'], ['main']],
      [['latin1'], []],
      [['side', 'main', 'x/blob', 'v1'], []],
      [['main', 'keep-around/kept'], ['main~1']],
    ].map(([excluded = [], added = []]) => ({
      excluded: source.oids(...excluded, ...NO_COMMITS),
      added: source.oids(...added),
    }));
    selections.push(
      { excluded: new Set(tips), added: new Set() },
      { excluded: new Set([...tips.slice(2), absent]), added: new Set(tips) },
    );

    for (const selection of selections) {
      const bundle = await created(source, selection);

      const expected = await source.expected(selection);
      assert.deepEqual(bundle, expected);
    }
    for (const added of [hidden, new Set([blob])])
      assert.equal(await created(source, { excluded: new Set(tips), added }), undefined);
  });
}

test('increments with any objects are git\u2019s, or left to git', async () => {
  await using started = await startSource();
  const { source } = started;
  const listed = source.git(['cat-file', '--batch-check=%(objectname)', '--batch-all-objects']);
  const random = seededRandom(testSeed());
  const some = (): Set<string> => {
    const all = shuffled(listed.split('\n'), random);
    return new Set(all.slice(0, Math.floor(random() * all.length)));
  };

  for (let run = 0; run < RANDOM_SELECTIONS; run++) {
    const excluded = some();
    const isOwn = run % 2 === 0;
    if (isOwn) for (const oid of source.oids(...NO_COMMITS)) excluded.add(oid);
    const selection = { added: isOwn ? new Set<string>() : some(), excluded };
    const bundle = await created(source, selection);

    if (bundle === undefined && !isOwn) continue;
    assert.deepEqual(bundle, await source.expected(selection), JSON.stringify(selection));
  }
});

test('a bundle of thousands of references is git\u2019s', async () => {
  await using started = await startSource();
  const { source } = started;
  const commits = [...source.oids('main', 'side', 'merge')];
  const names = Array.from({ length: MANY }, (_, index) => `refs/merge-requests/${index}/head`);
  writePackedRefs(
    source.path,
    names.map((name, index) => `${commits[index % commits.length]} ${name}`),
  );

  for (const excluded of [new Set<string>(), source.oids('main', 'x/blob', 'x/tree')]) {
    const selection = { added: new Set<string>(), excluded };
    const bundle = await created(source, selection);

    assert.deepEqual(bundle, await source.expected(selection));
  }
});

// An object is read when the pack is written: after the header, if others come before it.
for (const otherBytes of [0, 1 << 20])
  test(`a damaged object behind ${otherBytes} bytes ends the bundle with git\u2019s error`, async () => {
    await using started = await startSource();
    const { source } = started;
    const addBlob = (name: string, bytes: number): string => {
      const oid = source.git(['hash-object', '-w', '--stdin'], randomBytes(bytes));
      source.git(['update-ref', `refs/a/${name}`, oid]);
      return oid;
    };
    addBlob('a', otherBytes);
    const damaged = addBlob('b', 4096);
    const file = join(source.path, 'objects', damaged.slice(0, 2), damaged.slice(2));
    chmodSync(file, 0o600);
    truncateSync(file, 2048);
    let bytes = 0;
    const read = async (): Promise<void> => {
      for await (const piece of bundleOfAll(source.repository, { signal })) bytes += piece.length;
    };

    const args = ['--git-dir', source.path, 'bundle', 'create', '-q', '-', '--all'];
    const { code, stderr } = await runBytes('git', args, { env: GIT_ENVIRONMENT });
    const message = `exit status ${code}: stderr: ${quote(stderr.toString())}`;
    await assert.rejects(read(), { code: 'INTERNAL', message });
    assert.ok(bytes >= otherBytes / 2);
  });

/** Changes after which only git can tell the contents of a bundle. */
const LEFT_TO_GIT: Readonly<Record<string, (source: Source) => void>> = {
  'a name that is ambiguous': (source) =>
    source.git(['update-ref', 'refs/heads/refs/heads/side', 'refs/heads/side']),
  'a branch called HEAD': (source) => source.git(['update-ref', 'refs/heads/HEAD', 'main']),
  'a branch called like an object id': (source) => {
    const oid = source.git(['rev-parse', 'main']);
    source.git(['update-ref', `refs/heads/${oid}`, 'main']);
  },
  'another working tree': (source) => {
    source.git(['worktree', 'add', '--detach', '-q', join(source.path, 'tree'), 'main']);
  },
  'a reference without its object': ({ path, repository }) => {
    writeFileSync(
      join(path, 'refs/heads/broken'),
      `${'1'.repeat(repository.objectFormat === 'sha1' ? 40 : 64)}\n`,
    );
  },
  'a commit without its parent': (source) => {
    const [oid = ''] = source.oids('main~2');
    rmSync(join(source.path, 'objects', oid.slice(0, 2), oid.slice(2)));
  },
};

for (const [what, change] of Object.entries(LEFT_TO_GIT)) {
  test(`${what} leaves the bundle to git`, async () => {
    await using started = await startSource();
    const { source } = started;
    const [excluded = ''] = source.oids('main~1');
    change(source);

    const bundle = await created(source, NOTHING);

    assert.equal(bundle, undefined);
    const patterns = ['--all', `^${excluded}`].map((text) => Buffer.from(text));
    const bytes = Array.fromAsync(bundleOf(source.repository, patterns, { signal }));
    const args = ['bundle', 'create', '-q', '-', '--ignore-missing', '--all', `^${excluded}`];
    const git = await runBytes('git', args, { cwd: source.path, env: GIT_ENVIRONMENT });
    if (git.code === 0) assert.deepEqual(source.read(Buffer.concat(await bytes)), source.read(git.stdout));
    else await assert.rejects(bytes, { code: 'INTERNAL', message: /^exit status \d+: stderr: "/ });
  });
}
