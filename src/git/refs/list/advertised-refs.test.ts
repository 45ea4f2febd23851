import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FLUSH_PACKET, packetAt, sizeOfPacket, textPacket } from '#base/pkt-line/packet';
import { FallBackToGit } from '#git/command/in-process';
import { HiddenRefs } from '#git/names/hidden-refs';
import { OID_DIGITS } from '#git/names/object-id';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { ReferencesFixture, type ReferencesRepository } from '#testkit/repositories/references-fixture';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';

const fixture = await ReferencesFixture.start();
after(() => fixture.close());

interface Request {
  readonly peel?: boolean;
  readonly symrefs?: boolean;
  readonly unborn?: boolean;
  readonly prefixes?: readonly string[];
}

/** Returns what one `git upload-pack` responds to each request. */
function askGit(
  { path, commits }: ReferencesRepository,
  requests: readonly Request[],
  hidden: readonly string[],
) {
  const input = requests.flatMap(({ prefixes = [], ...flags }) => [
    textPacket('command=ls-refs\n'),
    textPacket(`object-format=${commits[0]?.length === OID_DIGITS.sha1 ? 'sha1' : 'sha256'}\n`),
    '0001',
    ...Object.entries(flags).flatMap(([name, isSet]) => (isSet ? [textPacket(`${name}\n`)] : [])),
    ...prefixes.map((prefix) => textPacket(`ref-prefix ${prefix}\n`)),
    FLUSH_PACKET,
  ]);
  const settings = hidden.flatMap((rule) => ['-c', `transfer.hideRefs=${rule}`]);
  const output = execFileSync('git', [...settings, 'upload-pack', path], {
    input: Buffer.concat([...input, FLUSH_PACKET].map((packet) => Buffer.from(packet))),
    env: { ...process.env, ...GIT_ENVIRONMENT, GIT_PROTOCOL: 'version=2' },
  });
  const [, ...responses] = untilFlushes(output);
  return responses;
}

/** Splits packets behind each flush packet. */
function untilFlushes(bytes: Buffer): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < bytes.length; ) {
    const packet = packetAt(bytes, at);
    assert.ok(packet !== 'incomplete' && packet !== 'invalid');
    at += sizeOfPacket(packet);
    if (packet !== 'flush') continue;
    parts.push(bytes.toString('latin1', start, at));
    start = at;
  }
  return parts;
}

async function advertise(
  { repository }: ReferencesRepository,
  { peel = false, symrefs = false, unborn = false, prefixes = [] }: Request = {},
  hidden: readonly string[] = [],
): Promise<string> {
  const pieces = await repository.refs.advertise({
    peel,
    symrefs,
    unborn,
    prefixes: prefixes.map((prefix) => Buffer.from(prefix)),
    hidden: new HiddenRefs(hidden.map((rule) => Buffer.from(rule))),
  });
  return Buffer.concat(pieces).toString('latin1');
}

const REQUESTS: readonly Request[] = [
  {},
  { peel: true },
  { symrefs: true },
  { unborn: true },
  { peel: true, symrefs: true, unborn: true },
  ...[
    ['refs/heads/'],
    ['refs/tags/'],
    ['refs/heads/b', 'refs/heads/b-c', 'refs/tags/v'],
    ['refs/heads/main', 'HEAD'],
    ['refs/heads/sub', 'refs/heads/zz'],
    ['refs/x', 'refs/heads/nothing'],
    ['H'],
    ['HEAD/'],
    ['r', 'nonsense'],
    ['nonsense'],
    [''],
  ].map((prefixes) => ({ peel: true, symrefs: true, unborn: true, prefixes })),
];

const made = createRepository();

/** Returns a repository with references of all kinds, loose and packed. */
function createRepository(): ReferencesRepository {
  const made = fixture.createRepository();
  const { run, path } = made;
  const [one = '', two = '', three = ''] = made.commits;
  for (const name of ['heads/a', 'heads/b', 'heads/b-c', 'heads/main', 'heads/over', 'top'])
    run('update-ref', `refs/${name}`, one);
  run('update-ref', 'refs/heads/hides', one);
  for (const name of ['v1', 'v2', 'w']) run('tag', '-a', '-m', name, name, two);
  run('pack-refs', '--all');
  run('tag', '-a', '-m', 'loose', 'v1.5', 'v2');
  run('tag', '-f', '-a', '-m', 'again', 'w', three);
  for (const name of ['heads/over', 'heads/loose', 'heads/sub/x', 'heads/zz', 'x/y'])
    run('update-ref', `refs/${name}`, three);
  run('symbolic-ref', 'refs/heads/link', 'refs/heads/a');
  run('symbolic-ref', 'refs/heads/chain', 'refs/heads/link');
  writeFileSync(join(path, 'refs/heads/hides'), 'ref: refs/heads/nowhere\n');
  mkdirSync(join(path, 'refs/heads/empty'));
  return made;
}

for (const head of [
  'ref: refs/heads/main',
  'ref: refs/heads/loose',
  'ref: refs/heads/chain',
  'ref: refs/heads/none',
  'commit',
  'tag',
]) {
  test(`the references are advertised as git does: HEAD is ${head}`, async () => {
    const { run, path } = made;
    const content = head.startsWith('ref') ? head : run('rev-parse', head === 'tag' ? 'v1' : 'main');
    writeFileSync(join(path, 'HEAD'), `${content}\n`);

    for (const hidden of [
      [],
      ['refs/heads', '!refs/heads/b', 'refs/tags/v1', 'refs/heads/b/'],
      ['refs/', '!refs/tags', 'HEAD', 'refs/heads/loose'],
    ]) {
      const expected = askGit(made, REQUESTS, hidden);
      for (const [index, request] of REQUESTS.entries())
        assert.equal(
          await advertise(made, request, hidden),
          expected[index],
          JSON.stringify([request, hidden]),
        );
    }
  });
}

if (referenceBackends().includes('reftable')) {
  for (const format of ['sha1', 'sha256'] as const) {
    test(`reftables of a ${format} repository are advertised as git does`, async () => {
      const tables = fixture.createRepository(format, 'reftable');
      const [one = '', two = ''] = tables.commits;
      for (const name of ['a', 'b', 'b-c', 'main', 'sub/x', 'zz'])
        tables.run('update-ref', `refs/heads/${name}`, one);
      for (const name of ['v1', 'v2', 'w']) tables.run('tag', '-a', '-m', name, name, two);
      tables.run('update-ref', '-d', 'refs/heads/zz');
      for (const [name, target] of [
        ['refs/heads/link', 'refs/heads/a'],
        ['refs/heads/chain', 'refs/heads/link'],
        ['refs/heads/dangling', 'refs/heads/absent'],
        ['refs/tags/link', 'refs/tags/v1'],
      ] as const)
        tables.run('symbolic-ref', name, target);

      for (const head of ['refs/heads/main', 'refs/heads/chain', 'refs/heads/none']) {
        tables.run('symbolic-ref', 'HEAD', head);
        for (const hidden of [
          [],
          ['refs/heads', '!refs/heads/b', 'refs/tags/v1'],
          ['HEAD', 'refs/heads/link'],
        ]) {
          const expected = askGit(tables, REQUESTS, hidden);
          for (const [index, request] of REQUESTS.entries())
            assert.equal(
              await advertise(tables, request, hidden),
              expected[index],
              JSON.stringify([head, request, hidden]),
            );
        }
      }
      tables.run('update-ref', '--no-deref', 'HEAD', tables.run('rev-parse', 'v1^{}'));
      assert.equal(await advertise(tables, {}), askGit(tables, [{}], [])[0]);
    });
  }
}

test('what is very much is left to git', async () => {
  const prefixes = (count: number) => ({
    prefixes: Array.from({ length: count }, (_, index) => `refs/q${index}`),
  });
  const rules = (count: number) => Array.from({ length: count }, (_, index) => `refs/q${index}`);
  mkdirSync(join(made.path, 'refs/many'));
  const loose = (count: number) => {
    for (let index = 0; index < count; index++)
      writeFileSync(join(made.path, `refs/many/${index}`), `${made.commits[0]}\n`);
  };

  await advertise(made, prefixes(1_000), rules(100));
  await assert.rejects(advertise(made, prefixes(1_001)), FallBackToGit);
  await assert.rejects(advertise(made, {}, rules(101)), FallBackToGit);
  loose(300);
  await advertise(made, { prefixes: ['refs/many/'] });
  loose(301);
  await assert.rejects(advertise(made, { prefixes: ['refs/many/'] }), FallBackToGit);
  rmSync(join(made.path, 'refs/many'), { recursive: true });
});

test('a repository that git refuses is left to it', async () => {
  const { path } = made;
  writeFileSync(join(path, 'HEAD'), 'ref: refs/heads/main\n');
  for (const directory of ['refs', 'objects']) {
    renameSync(join(path, directory), join(path, 'away'));
    await assert.rejects(advertise(made), FallBackToGit, directory);
    renameSync(join(path, 'away'), join(path, directory));
  }
  for (let link = 1; link <= 6; link++)
    writeFileSync(join(path, `refs/heads/link${link}`), `ref: refs/heads/link${link - 1}\n`);
  for (const [head, isLeft] of [
    ['ref: refs/heads/link3\n', false],
    ['ref: refs/heads/link4\n', true],
  ] as const) {
    writeFileSync(join(path, 'HEAD'), head);
    const advertised = advertise(made, { symrefs: true, unborn: true, prefixes: ['HEAD'] });
    if (isLeft) await assert.rejects(advertised, FallBackToGit);
    else
      assert.equal(
        await advertised,
        askGit(made, [{ symrefs: true, unborn: true, prefixes: ['HEAD'] }], [])[0],
      );
  }
  rmSync(join(path, 'HEAD'));
  await assert.rejects(advertise(made), FallBackToGit);
});
