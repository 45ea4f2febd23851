import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { CallError } from '#client/index';
import { processesIn } from '#testkit/measure/process-usage';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { seededShare } from '#testkit/seeded-share';
import { extent } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { type Fault, FaultyServer, makeTemplate, type Target } from './faulty-server.ts';
import { templateStream } from './operations.ts';

const FAULTS: readonly Fault[] = [
  'start',
  'descriptor',
  'create',
  'write',
  'flush',
  'move',
  'full disk',
  'git exits',
  'git is killed',
  'git has no space',
];
/** Maintenance reads hundreds of directories, which all fail alike. */
const LATER_OCCASIONS = [2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610];
/** Share of the later occasions that `npm test` lets fail. */
const SHARE = 0.15;
/** One of this number of pairs of a case and a fault is tried. */
const PAIRS = extent('FAILURE_PAIRS', { short: 3, long: 1 });
const seed = testSeed();
const CODES = ['INTERNAL', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION'];
const CALL_LIMIT_MS = 30_000;

/** Options of the calls of a case. */
export const options = { timeoutMs: CALL_LIMIT_MS };

/** A call that keeps the references of its repository, and can be repeated after a failure. */
export interface Case {
  readonly name: string;
  /** Makes what the call needs, without faults. */
  prepare?(server: FaultyServer, target: Target): Promise<void>;
  run(server: FaultyServer, target: Target): Promise<unknown>;
  /** Checks what a call has left. @param isDone it succeeded. */
  check(target: Target, isDone: boolean, storage: string): Promise<void>;
}

/** Lets every call fail in every way, and checks what it leaves and that it works the next time. */
export function suiteOf(name: string, cases: readonly Case[]): void {
  suite(name, () => {
    const directory = makeScratchDirectory('template');
    const template = join(directory, 'template.git');
    let server: FaultyServer;
    before(async () => {
      await makeTemplate(template, templateStream());
      server = await FaultyServer.start({ hooks: false });
    });
    after(async () => {
      await server[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    });

    for (const [index, each] of cases.entries()) {
      test(`${each.name} leaves a sound repository, and works the next time`, async (context) => {
        let injected = 0;
        for (const fault of FAULTS.filter((_, at) => (index + at + seed) % PAIRS === 0)) {
          for (const nth of [1, ...seededShare(LATER_OCCASIONS, SHARE)]) {
            const target = server.target(template);
            await each.prepare?.(server, target);
            await server.arm(fault, nth);
            const error = await each.run(server, target).then(
              () => undefined,
              (reason: unknown) => reason,
            );
            const { failed } = await server.disarm();
            const where = `${fault} ${nth} (${failed.join('; ')}): ${String(error)}`;
            try {
              await verify(each, target, error);
            } catch (cause) {
              throw new Error(where, { cause });
            }
            if (failed.length === 0) break;
            injected++;
          }
        }
        context.diagnostic(`${injected} failures`);
        assert.ok(injected > 0);
      });
    }

    async function verify(each: Case, target: Target, error: unknown): Promise<void> {
      if (error !== undefined)
        assert.ok(error instanceof CallError && CODES.includes(error.code), 'unspecified error');
      assert.equal(await refsOf(target.directory), await refsOf(template));
      await each.check(target, error === undefined, server.storage);
      await assertSound(server.storage, target.directory);
      if (error === undefined) return;
      await each.run(server, target).catch((reason: unknown) => {
        // It may have been done before the failure.
        if (!(reason instanceof CallError && reason.code === 'ALREADY_EXISTS')) throw reason;
      });
      await each.check(target, true, server.storage);
      await assertSound(server.storage, target.directory);
    }
  });
}

/**
 * Time after which a process that is signalled to end, and a directory that is being removed, are
 * gone.
 */
const GONE_AFTER_MS = 5_000;
/** Processes that the server keeps for some seconds for the next call. */
const POOLED = / (cat-file --batch|update-ref .*--stdin)/;
const OBJECT_DIRECTORY = /^(info|pack|[0-9a-f]{2})$/;
const PACK_FILE =
  /^(pack-[0-9a-f]+\.(pack|idx|rev|bitmap|mtimes)|multi-pack-index(-[0-9a-f]+\.(rev|bitmap))?)$/;

/** Returns the names and values of all references, one per line. */
export async function refsOf(directory: string): Promise<string> {
  return await runGit(['-C', directory, 'for-each-ref', '--format=%(refname) %(objectname)']);
}

/** Checks that a call has left a sound repository, and no temporary files, locks or processes. */
export async function assertSound(storage: string, directory: string): Promise<void> {
  const fsck = await runGit(['-C', directory, 'fsck', '--strict', '--no-dangling']);
  assert.equal(fsck, '', 'git fsck');
  const leftNow = (): string[] => left(storage, directory);
  await until(
    () => leftNow().length === 0,
    () => `these are left: ${leftNow().join(', ')}`,
    GONE_AFTER_MS,
  );
}

function left(storage: string, directory: string): string[] {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return [
    ...namesIn(join(storage, '+gitaly/tmp')),
    ...files.filter((name) => /\.lock$|\/tmp_|incoming-|worktree/.test(name)),
    ...namesIn(join(directory, 'objects')).filter((name) => !OBJECT_DIRECTORY.test(name)),
    ...namesIn(join(directory, 'objects/pack')).filter((name) => !PACK_FILE.test(name)),
    ...processesIn(directory).filter((line) => !POOLED.test(line)),
  ];
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
