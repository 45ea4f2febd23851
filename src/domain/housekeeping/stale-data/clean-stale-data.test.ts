import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { voteHash } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type CleanStaleDataOptions, cleanStaleData } from './clean-stale-data.ts';

const { signal } = new AbortController();
const NOW_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Ages at which the files are removed. */
const FILES: readonly (readonly [path: string, minAgeMs: number, kind: string, content?: string])[] = [
  ['HEAD.lock', 15 * MINUTE_MS, 'locks'],
  ['config.lock', 15 * MINUTE_MS, 'locks'],
  ['info/attributes.lock', 15 * MINUTE_MS, 'locks'],
  ['objects/info/alternates.lock', 15 * MINUTE_MS, 'locks'],
  ['objects/info/commit-graphs/commit-graph-chain.lock', 15 * MINUTE_MS, 'locks'],
  ['objects/pack/multi-pack-index.lock', 15 * MINUTE_MS, 'locks'],
  ['packed-refs.lock', HOUR_MS, 'packedrefslock'],
  ['packed-refs.new', 15 * MINUTE_MS, 'packedrefsnew'],
  ['reftable/tables.list.lock', HOUR_MS, 'reftablelocks'],
  ['reftable/0x000000000001-0x000000000002-c1b81ba4.ref.lock', HOUR_MS, 'reftablelocks'],
  ['reftable/0x000000000001-0x000000000002-40832186.temp.ok6Aof', HOUR_MS, 'reftablelocks'],
  ['refs/heads/a/x.lock', HOUR_MS, 'reflocks', 'content'],
  ['refs/heads/a/empty', DAY_MS, 'refs'],
  ['objects/17/tmp_obj_x', DAY_MS, 'objects'],
  ['objects/pack/tmp_pack_x', DAY_MS, 'objects'],
  ['objects/pack/pack-1.keep', 7 * DAY_MS, 'packfilelocks', 'receive-pack 1 on host'],
  ['objects/pack/pack-2.keep', 7 * DAY_MS, 'packfilelocks', 'fetch-pack 1 on host'],
];
const DIRECTORIES: readonly (readonly [path: string, minAgeMs: number, kind: string])[] = [
  ['objects/tmp_objdir-incoming-x', 3 * DAY_MS, 'objectdirs'],
  ['refs/heads/gone', DAY_MS, 'refsemptydir'],
];
const ALL = [...FILES, ...DIRECTORIES];

/** Files that no age makes stale. */
const KEPT = [
  'objects/pack/pack-3.keep',
  'objects/pack/pack-1.pack',
  'objects/pack/x.keep',
  'objects/17/tmp_objdir-x/y',
  'objects/info/alternates',
  'reftable/0x000000000001-0x000000000002-c1b81ba4.ref',
  'refs/heads/b/full',
  'info/other',
];

function put({ path }: Repository, name: string, content: string): void {
  mkdirSync(dirname(join(path, name)), { recursive: true });
  writeFileSync(join(path, name), content);
}

function age({ path }: Repository, name: string, ageMs: number): void {
  const time = new Date(NOW_MS - ageMs);
  utimesSync(join(path, name), time, time);
}

async function clean(repository: Repository, options: Partial<CleanStaleDataOptions> = {}) {
  let counts: Record<string, number> = {};
  await cleanStaleData(repository, {
    signal,
    nowMs: NOW_MS,
    onRemoved: (removed) => {
      counts = Object.fromEntries([...removed].filter(([, count]) => count > 0));
    },
    ...options,
  });
  return counts;
}

for (const [what, youngerMs] of [
  ['stay until their age', 1000],
  ['are removed at their age, and counted', 0],
] as const) {
  test(`files of dead processes ${what}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');
    for (const [name, , , content = ''] of FILES) put(repository, name, content);
    for (const [name] of DIRECTORIES) mkdirSync(join(repository.path, name), { recursive: true });
    for (const name of KEPT) put(repository, name, 'content');
    for (const name of KEPT) age(repository, name, 1000 * DAY_MS);
    for (const [name, minAgeMs] of ALL) age(repository, name, minAgeMs - youngerMs);

    const counts = await clean(repository);

    const removed = ALL.filter(([name]) => !existsSync(join(repository.path, name)));
    const expected = youngerMs === 0 ? ALL : [];
    assert.deepEqual(removed, expected);
    const byKind = Object.groupBy(expected, ([, , kind]) => kind);
    assert.deepEqual(
      counts,
      Object.fromEntries(Object.entries(byKind).map(([kind, list]) => [kind, list?.length])),
    );
    for (const name of KEPT) assert.equal(existsSync(join(repository.path, name)), true, name);
  });
}

for (const referenceBackend of referenceBackends().filter((name) => name === 'reftable'))
  test('a table that a dead process has locked is compacted again', async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1, referenceBackend });
    const tables = () => readFileSync(`${repository.path}/reftable/tables.list`, 'utf8').trim().split('\n');
    const lock = `reftable/${tables()[0]}.lock`;
    put(repository, lock, '');
    age(repository, lock, HOUR_MS);
    fixture.runGit(repository.path, ['update-ref', 'refs/heads/b', 'main']);
    const compact = () => fixture.runGit(repository.path, ['pack-refs', '--all']);
    assert.throws(compact, /data is locked/);

    await clean(repository);

    compact();
    assert.equal(tables().length, 1);
  });

test('files for plain HTTP servers are removed at any age', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  fixture.runGit(repository.path, ['update-server-info']);
  for (const name of ['info/refs_x', 'objects/info/packs_x', 'info/refsx']) put(repository, name, '');
  mkdirSync(`${repository.path}/info/refs_directory`);

  assert.equal((await clean(repository)).serverinfo, 4);

  assert.deepEqual(
    [
      'info/refs',
      'info/refs_x',
      'objects/info/packs',
      'objects/info/packs_x',
      'info/refsx',
      'info/refs_directory',
    ].filter((name) => existsSync(join(repository.path, name))),
    ['info/refsx', 'info/refs_directory'],
  );
});

test('empty directories of references go with those above them, one level deep at least', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const { path } = repository;
  mkdirSync(`${path}/refs/heads/a/b`, { recursive: true });
  mkdirSync(`${path}/refs/heads/young/old`, { recursive: true });
  put(repository, 'refs/heads/used/x', 'content');
  for (const name of ['a/b', 'a', 'young/old', 'used', '']) age(repository, `refs/heads/${name}`, DAY_MS);
  age(repository, 'refs/tags', DAY_MS);
  age(repository, 'refs', DAY_MS);

  assert.deepEqual(await clean(repository), { refsemptydir: 4 });

  assert.equal(existsSync(`${path}/refs/heads/a`), false);
  assert.equal(existsSync(`${path}/refs/heads/young/old`), false);
  assert.equal(existsSync(`${path}/refs/heads/young`), true);
  assert.equal(existsSync(`${path}/refs/heads/used/x`), true);
  assert.equal(existsSync(`${path}/refs/tags`), false);
  assert.equal(existsSync(`${path}/refs`), true);
});

test('a file that cannot be removed is reported, and the others are removed', async (context) => {
  if (process.getuid?.() === 0) return context.skip('root is forbidden nothing');
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  for (const name of ['refs/heads/a/x.lock', 'HEAD.lock']) put(repository, name, '');
  for (const name of ['refs/heads/a/x.lock', 'HEAD.lock']) age(repository, name, DAY_MS);
  chmodSync(`${repository.path}/refs/heads/a`, 0o500);
  const failures: string[] = [];

  const counts = await clean(repository, { onFailure: (path) => failures.push(path) });

  chmodSync(`${repository.path}/refs/heads/a`, 0o700);
  assert.deepEqual(failures, [`${repository.path}/refs/heads/a/x.lock`]);
  assert.deepEqual(counts, { locks: 1, reflocks: 1, failures: 1 });
});

test('obsolete settings and empty sections are removed, with a vote on the settings', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const config = `${repository.path}/config`;
  for (const [key, value] of [
    ['http.http://h/.extraheader', 'secret'],
    ['remote.o.url', 'u'],
    ['remote.o.keep', 'k'],
    ['core.commitgraph', 'true'],
    ['gitlab.fullpath', 'a/b'],
    ['other.a', 'b'],
  ] as const)
    fixture.runGit(repository.path, ['config', key, value]);
  writeFileSync(config, '[empty]\n[other]\n\tc = d\n[last]\n', { flag: 'a' });
  chmodSync(config, 0o640);
  const phases: string[] = [];
  const hashes = new Set<string>();
  const vote = async (phase: string, hash: Uint8Array): Promise<void> => {
    phases.push(phase);
    hashes.add(Buffer.from(hash).toString('hex'));
  };

  const counts = await clean(repository, { vote });

  // git leaves the headers of `http` and `gitlab`, or removes them, depending on its version.
  assert.equal(counts.configkeys, 1);
  assert.equal(counts.configfullpath, 1);
  assert.ok((counts.configsections ?? 0) >= 2);
  const names = fixture.runGit(repository.path, ['config', '--local', '--list', '--name-only']).split('\n');
  assert.deepEqual(
    names.filter((name) => !/^(core\.(bare|file|repo)|extensions)/.test(name)),
    ['remote.o.keep', 'other.a', 'other.c'],
  );
  assert.doesNotMatch(readFileSync(config, 'utf8'), /empty|last|gitlab/);
  assert.equal(statSync(config).mode & 0o777, 0o640);
  assert.deepEqual(phases, ['preparing', 'prepared', 'committed', 'preparing', 'prepared', 'committed']);
  assert.equal(hashes.has(voteHash('preparing commit locked file').toString('hex')), true);
  assert.equal(hashes.size, 3);

  const before = statSync(config, { bigint: true }).ino;
  assert.deepEqual(await clean(repository, { vote }), {});
  assert.equal(statSync(config, { bigint: true }).ino, before);
  assert.equal(phases.length, 6);
});

test('a section whose header continues a value is kept', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const config = `${repository.path}/config`;
  const text = `${readFileSync(config, 'utf8')}[a]\n\tb = c\\\n[d]\n`;
  writeFileSync(config, text);

  await assert.rejects(clean(repository), {
    message:
      /^housekeeping could not perform cleanup configsections: section pruning has caused config change$/,
  });

  assert.equal(readFileSync(config, 'utf8'), text);
});

for (const [key, message] of [
  [
    'core.commitgraph',
    /cleanup \(with TxManager\) configkeys: unsetting unnecessary config lines: committing config: locking file: /,
  ],
  [
    'gitlab.fullpath',
    /configfullpath: unsetting `gitlab\.fullpath` config: committing config: locking file: /,
  ],
] as const) {
  test(`a config file that another writer has locked keeps ${key}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');
    fixture.runGit(repository.path, ['config', key, 'true']);
    put(repository, 'config.lock', '');
    age(repository, 'config.lock', 0);

    await assert.rejects(clean(repository), { message });

    assert.equal(fixture.runGit(repository.path, ['config', key]), 'true');
  });
}

test('attributes of earlier releases are removed where git reads those of HEAD', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  put(repository, 'info/attributes', '*.a diff');
  const isRemoved = repository.git.capabilities.attrTree;

  assert.deepEqual(await clean(repository), isRemoved ? { infoattributes: 1 } : {});

  assert.equal(existsSync(`${repository.path}/info/attributes`), !isRemoved);
});

test('an aborted run removes nothing more, and reports what it has removed', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  put(repository, 'HEAD.lock', '');
  age(repository, 'HEAD.lock', DAY_MS);
  let isReported = false;
  const aborted = clean(repository, {
    signal: AbortSignal.abort(new Error('enough')),
    onRemoved: () => {
      isReported = true;
    },
  });

  await assert.rejects(aborted, { message: 'enough' });

  assert.equal(isReported, true);
  assert.equal(existsSync(`${repository.path}/HEAD.lock`), true);
});

test('a setting that another writer adds meanwhile is not lost', async () => {
  const directory = makeScratchDirectory('other-writer');
  const config = join(directory, 'config');
  const binary = join(directory, 'git');
  // The other writer comes between the look at the file and its replacement.
  writeFileSync(
    binary,
    [
      '#!/bin/sh',
      `case "$*" in *--unset-all*) git config --file "$(cat ${config})" other.key added;; esac`,
      'exec git "$@"\n',
    ].join('\n'),
    { mode: 0o755 },
  );
  await using fixture = await StorageFixture.create({ binary });
  const repository = fixture.init('x.git');
  const { path } = repository;
  writeFileSync(config, `${path}/config`);
  fixture.runGit(path, ['config', 'http.https://x/.extraheader', 'Authorization: Basic x']);

  await assert.rejects(clean(repository), /committing config: locking file: file already locked/);

  assert.equal(fixture.runGit(path, ['config', 'other.key']), 'added');
  rmSync(directory, { recursive: true });
});
