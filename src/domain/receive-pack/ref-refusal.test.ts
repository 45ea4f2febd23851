import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { capabilitiesOf } from '#git/command/capabilities';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { GIT_ENVIRONMENT, testedGit } from '#testkit/repositories/run-git';
import { outputSync, runSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { refRefusal } from './ref-refusal.ts';

interface Refused {
  readonly what: string;
  /** The value that is expected, the new one, and the reference. */
  readonly command: readonly [from: 'none' | 'one' | 'two', to: 'one' | 'two', reference: string];
  /** A file that is in the way. */
  readonly file?: readonly [path: string, content: string];
  /** The reason since git 2.51, which goes on with the other changes of a push. */
  readonly reason: string;
}

const REFUSED: readonly Refused[] = [
  {
    what: 'another value',
    command: ['two', 'one', 'refs/heads/a'],
    reason: 'incorrect old value provided',
  },
  { what: 'one that exists', command: ['none', 'two', 'refs/heads/a'], reason: 'reference already exists' },
  {
    what: 'a lock',
    command: ['one', 'two', 'refs/heads/a'],
    file: ['refs/heads/a.lock', ''],
    reason: 'reference already exists',
  },
  { what: 'a missing one', command: ['one', 'two', 'refs/heads/no'], reason: 'reference does not exist' },
  { what: 'a folder', command: ['none', 'one', 'refs/heads/d'], reason: 'refname conflict' },
  { what: 'one above', command: ['none', 'one', 'refs/heads/a/x'], reason: 'refname conflict' },
  {
    what: 'a file in a folder of its name',
    command: ['none', 'one', 'refs/heads/e'],
    file: ['refs/heads/e/x.lock', ''],
    reason: 'refname conflict',
  },
];
const BROKEN: Omit<Refused, 'reason'> = {
  what: 'a broken one',
  command: ['one', 'two', 'refs/heads/b'],
  file: ['refs/heads/b', 'broken'],
};

let directory: string;
let path: string;
let ids: Readonly<Record<'none' | 'one' | 'two', string>>;
before(() => {
  directory = makeScratchDirectory('ref-refusal');
  path = join(directory, 'r.git');
  initRepository(path);
  const tree = gitOutput(path, ['mktree'], '');
  const commit = (message: string): string => gitOutput(path, ['commit-tree', tree, '-m', message]);
  ids = { none: ZERO_OID, one: commit('one'), two: commit('two') };
  gitOutput(path, ['update-ref', 'refs/heads/a', ids.one]);
  gitOutput(path, ['update-ref', 'refs/heads/d/x', ids.one]);
});
after(() => rmSync(directory, { recursive: true }));

/** Runs a function while the file is in the way. */
function withFile<T>(file: Refused['file'], run: () => T): T {
  if (file === undefined) return run();
  const [name, content] = file;
  mkdirSync(dirname(join(path, name)), { recursive: true });
  writeFileSync(join(path, name), content);
  try {
    return run();
  } finally {
    rmSync(join(path, name));
  }
}

/** Returns what `git update-ref` prints about a change that it refuses. */
function refusalOf({ command: [from, to, reference], file }: Omit<Refused, 'reason'>): Buffer {
  const input = `start\nupdate ${reference} ${ids[to]} ${ids[from]}\nprepare\ncommit\n`;
  const args = ['--git-dir', path, 'update-ref', '--stdin'];
  const { code, stderr } = withFile(file, () => runSync('git', args, { env: GIT_ENVIRONMENT, input }));
  assert.equal(code, 128);
  return Buffer.from(stderr);
}

/** Returns the reason and the message of `git receive-pack` for the same change. */
function pushOf({ command: [from, to, reference], file }: Omit<Refused, 'reason'>, isAtomic: boolean) {
  const capabilities = `report-status side-band-64k${isAtomic ? ' atomic' : ''}`;
  const input = pushBody([`${ids[from]} ${ids[to]} ${reference}`], { capabilities });
  const args = ['receive-pack', '--stateless-rpc', path];
  const output = withFile(file, () => outputSync('git', args, { env: GIT_ENVIRONMENT, input }));
  const { messages, report } = readReport(output);
  const error = /^error: (.*)\n$/s.exec(messages)?.[1];
  return { reason: report[1]?.replace(`ng ${reference} `, ''), message: error };
}

for (const isAtomic of [false, true])
  for (const refused of REFUSED)
    test(`${refused.what}${isAtomic ? ', atomically' : ''}: is refused as by receive-pack`, () => {
      const capabilities = capabilitiesOf(testedGit());

      const refusal = refRefusal(refusalOf(refused), { isAtomic, path, capabilities });

      const { message, reason } = refusal ?? {};
      assert.deepEqual({ reason, message: message?.toString() }, pushOf(refused, isAtomic));
    });

for (const explainsRejections of [false, true])
  for (const refused of REFUSED)
    test(`${refused.what}: is rejected by git 2.${explainsRejections ? 54 : 51}`, () => {
      const capabilities = { batchedPushes: true, explainsRejections };

      const refusal = refRefusal(refusalOf(refused), { isAtomic: false, path, capabilities });

      const { message, ...others } = refusal ?? {};
      assert.deepEqual(others, { reason: refused.reason, isRejected: true });
      assert.equal(message !== undefined, explainsRejections);
    });

test('what git does not explain is no refusal', () => {
  const change = { isAtomic: false, path, capabilities: { batchedPushes: true, explainsRejections: true } };

  for (const stderr of ['', 'error: what\n', 'not fatal: prepare: x: reference already exists\n'])
    assert.equal(refRefusal(Buffer.from(stderr), change), undefined);
  const failed = refRefusal(refusalOf(BROKEN), change);
  assert.deepEqual([failed?.reason, failed?.isRejected], ['failed to update refs', false]);
});
