import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { seededShare } from '#testkit/seeded-share';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import { methodByPath, servedByGitaly } from '#wire/methods';
import { Caller } from '../hostile-fields/caller.ts';
import { GIT_FAILS, type GitFails } from './git-fails.ts';
import { makeOddRepository, STATES, targetOf } from './odd-repository.ts';
import { type OddRequest, type OddTarget, REQUESTS, WITHOUT_HISTORY } from './rpc-requests.ts';

/** Codes of a fault of the server. The others are responses to a request. */
const FAULTS = new Set(['INTERNAL', 'UNKNOWN', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'DATA_LOSS', 'ABORTED']);
/** Calls under way at once. */
const AT_ONCE = 4;
const SHOWN = 10;
/** Share of the requests for the first state, and for each of the others. */
const SHARES = { first: { short: 0.1, long: 1 }, other: { short: 0.04, long: 0.5 } };

let gitaly: TestGitaly;
let caller: Caller;
before(async () => {
  gitaly = await startGitaly({
    config: (directory) => ({
      backup: { go_cloud_url: join(directory, 'backups') },
      bundle_uri: { go_cloud_url: join(directory, 'bundles') },
    }),
  });
  caller = await Caller.connect(gitaly.address, join(gitaly.directory, 'sockets'));
});
after(async () => {
  await caller[Symbol.asyncDispose]();
  await gitaly[Symbol.asyncDispose]();
});

test('each reading call has requests for the odd repository, or depends on no history', () => {
  const methods = servedByGitaly.flatMap(({ methods }) => methods.map(methodInfo));
  const readers = methods
    .filter(({ operation }) => operation === 'accessor')
    .map(({ path }) => path.replace('/gitaly.', ''));
  const missing = readers.filter(
    (name) => !(name in REQUESTS) && !Object.values(WITHOUT_HISTORY).some((pattern) => pattern.test(name)),
  );

  assert.deepEqual(missing, []);
  assert.deepEqual(
    Object.keys(REQUESTS).filter((name) => !readers.includes(name)),
    [],
  );
});

for (const [index, state] of STATES.entries())
  test(`no reading call fails in a repository with every oddity and ${state}`, async (context) => {
    const repository = makeOddRepository(gitaly.storagePath(), state);
    const target = targetOf(repository);
    const known = GIT_FAILS.filter((each) => each.state?.test(state) !== false);
    for (const { git, reason } of known)
      if (git !== undefined) assert.throws(() => gitOutput(repository.path, git), reason);
    const all = Object.entries(REQUESTS).flatMap(([name, rows]) => {
      const method = methodByPath(`/gitaly.${name}`);
      assert.ok(method !== undefined, name);
      const share = index === 0 ? SHARES.first : SHARES.other;
      return seededShare(rows(target), share).map((request) => ({ method, request }));
    });

    const faults = await faultsOf(all, target, known);

    context.diagnostic(`${all.length} calls`);
    assert.equal(faults.length, 0, `${faults.length} faults:\n${faults.slice(0, SHOWN).join('\n')}`);
  });

interface OddCall {
  readonly method: MethodInfo;
  readonly request: OddRequest;
}

async function faultsOf(
  calls: readonly OddCall[],
  target: OddTarget,
  known: readonly GitFails[],
): Promise<string[]> {
  const faults: string[] = [];
  const waiting = calls.values();
  const work = async (): Promise<void> => {
    for (const { method, request } of waiting) {
      const { code, message } = await outcomeOf(method, request, target);
      const isOfGit = known.some((each) => each.calls.test(method.path) && each.message.test(message));
      if (FAULTS.has(code) && !isOfGit) faults.push(`${method.name}: ${code} ${message} ${show(request)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return faults;
}

async function outcomeOf(method: MethodInfo, request: OddRequest, { relativePath }: OddTarget) {
  const [first = {}, ...others] = Array.isArray(request) ? request : [request];
  const hasRepository = method.input.fields.some(({ name }) => name === 'repository');
  const repository = { storageName: 'default', relativePath, glRepository: 'project-1' };
  const requests = [{ ...(hasRepository && { repository }), ...first }, ...others];
  const plain = { field: '', index: 0, value: Buffer.of(), isRaw: false, relativePath };
  return await caller.call({ method, requests, ...plain }, method.name);
}

function show(request: OddRequest): string {
  const text = JSON.stringify(request, (_key, value) => {
    if (value?.type === 'Buffer') return Buffer.from(value.data).toString('latin1');
    return typeof value === 'bigint' ? String(value) : value;
  });
  return text.slice(0, 300);
}
