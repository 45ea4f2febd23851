import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { textPacket } from '#base/pkt-line/packet';
import { recordedConnection } from '#testkit/clients/recording-caller';
import { FindDefaultBranchNameResponseSchema, RefService } from '#wire/gen/ref_pb';
import { RepositoryExistsResponseSchema, RepositoryService } from '#wire/gen/repository_pb';
import { ObjectFormat } from '#wire/gen/shared_pb';
import { type CreateOnPushOptions, RepositoryCreator } from './create-on-push.ts';
import { RememberedRepositories } from './new-repositories.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'new.git' };
const push = (oid = '1'.repeat(40)) => textPacket(`${'0'.repeat(oid.length)} ${oid} refs/heads/main\0`);

async function* bytesOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

type Answers = Readonly<Record<string, () => Message>>;

function arrange(answers: Answers = {}, options: CreateOnPushOptions = {}) {
  const services = { repository: RepositoryService, ref: RefService };
  const { calls, connection } = recordedConnection(services, ({ name, output }) => [
    answers[name]?.() ?? create(output),
  ]);
  const without = new RememberedRepositories();
  const creator = new RepositoryCreator(connection, options, without);
  const rpcs = () => calls.map(({ rpc }) => rpc);
  const createFor = (bytes: Buffer) => creator.createFor(REPOSITORY, bytesOf(bytes), {});
  const otherGateway = new RepositoryCreator(connection, options, without);
  return { calls, createFor, creator, otherGateway, rpcs, without };
}

const failing = (code: StatusCode) => () => {
  throw new GitalyError(code, `${code} of the server`);
};
const existing = (exists: boolean) => () => create(RepositoryExistsResponseSchema, { exists });

test('the format of a new repository is that of the push, whatever is configured', async () => {
  for (const [oid, options, expected] of [
    ['1'.repeat(40), {}, ObjectFormat.SHA1],
    ['1'.repeat(64), {}, ObjectFormat.SHA256],
    ['1'.repeat(40), { objectFormat: 'sha256' }, ObjectFormat.SHA1],
  ] as const) {
    const { calls, createFor } = arrange({}, options);
    const bytes = push(oid);

    assert.deepEqual(await buffer((await createFor(bytes)) ?? bytesOf(Buffer.alloc(0))), bytes);
    assert.deepEqual(calls, [{ rpc: 'CreateRepository', requests: [{ objectFormat: expected }] }]);
  }
  const signed = textPacket('push-cert\0report-status\n');
  for (const [objectFormat, expected] of [
    ['sha256', ObjectFormat.SHA256],
    ['sha1', ObjectFormat.SHA1],
  ] as const) {
    const { calls, createFor } = arrange({}, { objectFormat });
    await createFor(signed);
    assert.deepEqual(calls[0]?.requests, [{ objectFormat: expected }], 'it does not show its format');
  }
});

test('pushes that arrive together create the repository once, a later one again', async () => {
  const { createFor, rpcs } = arrange();

  await Promise.all([createFor(push()), createFor(push()), createFor(push())]);
  assert.deepEqual(rpcs(), ['CreateRepository']);
  await createFor(push());

  assert.deepEqual(rpcs(), ['CreateRepository', 'CreateRepository']);
});

test('two gateways of a server create a repository once', async () => {
  const { createFor, otherGateway, rpcs } = arrange({ RepositoryExists: existing(true) });

  await Promise.all([createFor(push()), otherGateway.createFor(REPOSITORY, bytesOf(push()), {})]);

  assert.deepEqual(rpcs(), ['CreateRepository', 'RepositoryExists']);
});

test('a repository that another gateway creates is as good', async () => {
  const exists = arrange({ CreateRepository: failing('ALREADY_EXISTS') });
  assert.ok(await exists.createFor(push()));
  assert.deepEqual(exists.rpcs(), ['CreateRepository']);

  let looks = 0;
  const appears = arrange({
    CreateRepository: failing('ABORTED'),
    RepositoryExists: () => existing(++looks === 3)(),
  });
  assert.ok(await appears.createFor(push()));
  assert.equal(looks, 3);
});

test('a creation that fails is the error of the push, and the next push tries again', async () => {
  let looks = 0;
  const answers = {
    CreateRepository: failing('INTERNAL'),
    RepositoryExists: () => {
      looks++;
      return existing(false)();
    },
  };
  const { createFor, rpcs, without } = arrange(answers);

  await assert.rejects(createFor(push()), { code: 'INTERNAL' });
  assert.equal(looks, 10);
  assert.equal(without.take('default\0new.git'), false);
  await assert.rejects(createFor(push()), { code: 'INTERNAL' });

  assert.equal(rpcs().filter((rpc) => rpc === 'CreateRepository').length, 2);
});

test('an input that is no push creates nothing', async () => {
  const { createFor, rpcs } = arrange();

  assert.equal(await createFor(Buffer.from('0000')), undefined);
  await assert.rejects(createFor(Buffer.from('0009hello')), {
    code: 'INVALID_ARGUMENT',
    message: 'this is not a push',
  });

  assert.deepEqual(rpcs(), []);
});

test('the default branch is set once, to one that exists', async () => {
  let name = '';
  const { calls, createFor, creator, rpcs } = arrange({
    FindDefaultBranchName: () => create(FindDefaultBranchNameResponseSchema, { name: Buffer.from(name) }),
  });
  await creator.chooseDefaultBranch(REPOSITORY, {});
  assert.deepEqual(rpcs(), [], 'it is not new');
  await createFor(push());

  await creator.chooseDefaultBranch(REPOSITORY, {}); // only tags so far
  name = 'refs/heads/trunk';
  await creator.chooseDefaultBranch(REPOSITORY, {});
  await creator.chooseDefaultBranch(REPOSITORY, {});

  const [, ...found] = ['CreateRepository', 'FindDefaultBranchName', 'FindDefaultBranchName', 'WriteRef'];
  assert.deepEqual(rpcs().slice(1), found);
  assert.deepEqual(calls.at(-1)?.requests, [{ ref: Buffer.from('HEAD'), revision: Buffer.from(name) }]);
});

// Symptom: `reference is already locked` in the log.
test('first pushes at once set the default branch one after the other', async () => {
  const name = Buffer.from('refs/heads/x');
  const { createFor, creator, otherGateway, rpcs, without } = arrange({
    FindDefaultBranchName: () => create(FindDefaultBranchNameResponseSchema, { name }),
  });
  await createFor(push());

  const first = creator.chooseDefaultBranch(REPOSITORY, {});
  without.add('default\0new.git'); // by a push that waited for the creation
  await Promise.all([first, otherGateway.chooseDefaultBranch(REPOSITORY, {})]);

  const once = ['FindDefaultBranchName', 'WriteRef'];
  assert.deepEqual(rpcs().slice(1), [...once, ...once]);
});

test('after a failure the default branch is set by the next push', async () => {
  let isBroken = true;
  const { createFor, creator, rpcs } = arrange({
    FindDefaultBranchName: () => {
      if (isBroken) throw new GitalyError('UNAVAILABLE', 'away');
      return create(FindDefaultBranchNameResponseSchema, { name: Buffer.from('refs/heads/x') });
    },
  });
  await createFor(push());

  await assert.rejects(creator.chooseDefaultBranch(REPOSITORY, {}), { code: 'UNAVAILABLE' });
  isBroken = false;
  await creator.chooseDefaultBranch(REPOSITORY, {});

  assert.equal(rpcs().at(-1), 'WriteRef');
});

test('the advertisement is of the format that the client wants, else of the configured one', () => {
  const zeros = (options: CreateOnPushOptions, wanted?: string): number =>
    / ?(0+) capabilities/.exec(arrange({}, options).creator.advertise('', wanted).toString().slice(4))?.[1]
      ?.length ?? 0;

  assert.deepEqual([zeros({}), zeros({}, 'sha256'), zeros({}, 'md5')], [40, 64, 40]);
  assert.deepEqual([zeros({ objectFormat: 'sha256' }), zeros({ objectFormat: 'sha256' }, 'sha1')], [64, 40]);
});

test('at most 1000 new repositories are remembered', () => {
  const repositories = new RememberedRepositories();
  for (let number = 1; number <= 1001; number++) repositories.add(`${number}`);

  assert.deepEqual([repositories.take('1000'), repositories.take('1000')], [true, false]);
  assert.equal(repositories.take('1001'), false);
  repositories.add('1002');
  assert.equal(repositories.take('1002'), true, 'there is space again');
});
