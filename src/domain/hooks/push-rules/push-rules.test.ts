import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { writeSetting } from '#domain/settings/kept-settings';
import { LfsObjects } from '#object-store/lfs-objects';
import { openStore } from '#object-store/open-store';
import type { Repository } from '#storage/repository';
import { commitFiles } from '#testkit/repositories/commit-files';
import { lfsPointer } from '#testkit/repositories/lfs-pointer';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { PROTECTED } from '#tokens/protected-references';
import type { HookCall } from '../hook-call.ts';
import { checkLfsFiles } from './check-lfs-files.ts';
import { checkProtected } from './check-protected.ts';
import { pushChanges, RuleRefusal } from './push-changes.ts';

const { signal } = new AbortController();
const ZEROS = '0'.repeat(40);
const MAIN = 'refs/heads/main';

const fixture = await StorageFixture.create();
after(() => fixture[Symbol.asyncDispose]());
let count = 0;

function newRepository(): Repository {
  return fixture.init(`${count++}.git`, { commits: 2 });
}

/** A call of a hook whose objects are in the repository already, for a user. */
function callIn(repository: Repository, username = 'bob'): HookCall {
  return {
    repository,
    isUnquarantined: true,
    payload: {
      repository: repository.target,
      objectFormat: 'sha1',
      transaction: undefined,
      user: { userId: 'user-7', username, protocol: 'http', remoteIp: '' },
      clientContext: undefined,
    },
    environment: {},
    pushOptions: [],
    output: { stdout: async () => {}, stderr: async () => {} },
    signal,
    correlationId: '',
  };
}

type Change = readonly [oldOid: string, newOid: string, name: string];

function changesOf(...changes: readonly Change[]): Buffer {
  return Buffer.from(changes.map((change) => `${change.join(' ')}\n`).join(''));
}

/** A push by bob: the change, the rule of the reference, and the refusal if there is one. */
const PROTECTED_CASES: readonly (readonly [string, object, string?])[] = [
  ['create', { create: ['alice', 'bob'] }],
  ['create', { create: ['alice'], update: '*', force: '*', delete: '*' }, 'create it'],
  ['update', { update: ['bob'], force: [] }],
  ['update', { update: [], force: ['bob'] }],
  ['update', { update: ['alice'], force: ['alice'], create: '*', delete: '*' }, 'update it'],
  ['force', { update: [], force: ['bob'] }],
  ['force', { update: '*', force: ['alice'] }, 'replace commits'],
  ['move a tag', { update: '*', force: [] }, 'replace commits'],
  ['delete', { delete: '*', update: [], force: [] }],
  ['delete', { delete: [], update: '*', force: '*' }, 'delete it'],
];

test('who may change a protected reference is what its rule says of the kind of change', async () => {
  const repository = newRepository();
  const [older = '', newer = ''] = ['main~1', 'main'].map((name) =>
    fixture.runGit(repository.path, ['rev-parse', name]),
  );
  const changes: Readonly<Record<string, Change>> = {
    create: [ZEROS, older, 'refs/heads/x'],
    update: [older, newer, 'refs/heads/x'],
    force: [newer, older, 'refs/heads/x'],
    'move a tag': [older, newer, 'refs/tags/x'],
    delete: [newer, ZEROS, 'refs/heads/x'],
  };
  for (const [kind, rule, refused] of PROTECTED_CASES) {
    const change = changes[kind] ?? assert.fail(kind);
    const check = (rules: readonly object[]): Promise<void> =>
      checkProtected(
        PROTECTED.parse(rules),
        pushChanges(callIn(repository), changesOf(change), 'repository'),
      );

    const checked = check([
      { on: 'refs/heads/other', update: [] },
      { on: 'refs/*/x', ...rule },
    ]);

    const words =
      `${change[2]}: rule 2 of "protected" of the repository ` +
      `does not allow bob to ${refused} (refs/*/x)`;
    if (refused === undefined) await checked;
    else await assert.rejects(checked, new RuleRefusal(words));
  }
});

test('all changes of a push are checked, by the reference that each of them changes', async () => {
  const repository = newRepository();
  const { path } = repository;
  const [older = '', newer = ''] = ['main~1', 'main'].map((name) =>
    fixture.runGit(path, ['rev-parse', name]),
  );
  fixture.runGit(path, ['symbolic-ref', 'refs/heads/alias', MAIN]);
  const rules = PROTECTED.parse([{ on: MAIN, update: ['alice'], force: [], delete: [] }]);
  const check = (user: string, ...given: readonly Change[]): Promise<void> =>
    checkProtected(rules, pushChanges(callIn(repository, user), changesOf(...given), 'token'));
  const free: Change = [ZEROS, newer, 'refs/heads/free'];

  await check('alice', free, [older, newer, 'refs/heads/alias']);
  await check('bob', free);
  await assert.rejects(check('bob', free, [older, newer, 'refs/heads/alias']), {
    message:
      'refs/heads/main (through refs/heads/alias): rule 1 of "protected" of the token ' +
      'does not allow bob to update it (refs/heads/main)',
  });
  await assert.rejects(check('', [newer, ZEROS, MAIN]), { message: /does not allow user-7 to delete it/ });
  const broken = pushChanges(callIn(repository), Buffer.from(`${older} ${newer}\n`), 'token');
  await assert.rejects(checkProtected(rules, broken), new RuleRefusal('a change of the push cannot be read'));
});

test('a push is refused while files of its pointers are missing, in the store or in their size', async () => {
  const repository = newRepository();
  await writeSetting(repository, 'lfs-ids', Buffer.from('own\nsource\n'), { vote: undefined });
  const store = await openStore('mem://');
  const put = async (id: string, content: string): Promise<void> =>
    await new LfsObjects(store, [id]).write(oidOf(content), Readable.from([Buffer.from(content)]), {
      sizeBytes: content.length,
      signal,
    });
  const files = {
    'empty.bin': lfsPointer({ oid: oidOf(''), size: 0 }),
    'long.bin': lfsPointer({ oid: oidOf('long'), size: 5 }),
    'of source.bin': lfsPointer('of source'),
    'two.bin': lfsPointer('two'),
    text: 'text',
  };
  const tip = unnamedCommit(repository, files);
  const check = (call = callIn(repository)): Promise<void> =>
    checkLfsFiles(call, changesOf([ZEROS, tip, 'refs/heads/new']), store);
  for (const content of ['long', 'of source']) await put('source', content);
  await put('other', 'two');

  const refusal = (...lines: string[]): RuleRefusal =>
    new RuleRefusal(
      [
        'The server does not have these files of Git LFS, which the push names:',
        ...lines,
        'Send them first: git lfs push --all REMOTE',
      ].join('\n'),
    );
  const long = `  "long.bin" (${oidOf('long')})`;
  await assert.rejects(check(), refusal(long, `  "two.bin" (${oidOf('two')})`));
  await check({ ...callIn(repository), isUnquarantined: false });
  await put('own', 'two');
  await assert.rejects(check(), refusal(long));
  fixture.runGit(repository.path, ['update-ref', 'refs/heads/old', tip]);
  await check();
});

test('ten missing files are named, and the others counted', async () => {
  const repository = newRepository();
  const names = Array.from({ length: 12 }, (_, index) => `file${index + 10}`);
  const tip = unnamedCommit(repository, Object.fromEntries(names.map((name) => [name, lfsPointer(name)])));

  const checked = checkLfsFiles(
    callIn(repository),
    changesOf([ZEROS, tip, 'refs/heads/new']),
    await openStore('mem://'),
  );

  await assert.rejects(checked, ({ message }: Error) => {
    const lines = message.split('\n');
    const named = names.slice(0, 10).map((name) => `  "${name}" (${oidOf(name)})`);
    assert.deepEqual(lines.slice(1, -1), [...named, '  and 2 more']);
    return true;
  });
});

/** Makes a commit to which no reference leads. */
function unnamedCommit({ path }: Repository, files: Readonly<Record<string, string>>): string {
  const commit = commitFiles(path, files, { ref: 'refs/heads/scratch', isRoot: true });
  fixture.runGit(path, ['update-ref', '-d', 'refs/heads/scratch']);
  return commit;
}

function oidOf(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}
