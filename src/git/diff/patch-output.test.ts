import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { randomTrees } from '#testkit/repositories/generated/random-trees';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { InProcess } from '../command/in-process.ts';
import { OID_DIGITS } from '../names/object-id.ts';
import type { GitRepository } from '../repository.ts';
import { patchCommand, WITH_PREFIXES } from './commands.ts';
import { patchOutput } from './patch-output.ts';

const root = makeScratchDirectory('patch-output');
after(() => rm(root, { recursive: true }));
let made = 0;

type ObjectFormat = keyof typeof OID_DIGITS;

class Fixture implements AsyncDisposable {
  readonly git: GitFixture;
  readonly repository: GitRepository;
  readonly hexLength: 40 | 64;
  /** Subcommands and ids of started processes. */
  readonly started: { readonly subcommand: string; readonly pid: number }[];

  constructor(git: GitFixture, objectFormat: ObjectFormat, started: Fixture['started']) {
    const path = join(root, `${made++}.git`);
    initRepository(path, { objectFormat });
    this.git = git;
    this.started = started;
    this.hexLength = OID_DIGITS[objectFormat];
    this.repository = git.open(path);
  }

  /** @param isEnabled False to compare with waiting processes alone. */
  static async create(
    objectFormat: ObjectFormat = 'sha1',
    { isEnabled = false }: { isEnabled?: boolean } = {},
  ): Promise<Fixture> {
    const started: Fixture['started'] = [];
    const observer = ({ subcommand, pid }: { subcommand: string; pid: number }) =>
      void started.push({ subcommand, pid });
    return new Fixture(
      await GitFixture.start({ observer, inProcess: new InProcess({ isEnabled }) }),
      objectFormat,
      started,
    );
  }

  import(stream: string | Buffer): void {
    gitOutput(this.repository.path, ['fast-import', '--quiet', '--force', '--done'], stream);
  }

  /** Creates a commit on `main` with only these files. */
  commit(files: Readonly<Record<string, string>>): string {
    return commitFiles(this.repository.path, files, { isRoot: true });
  }

  ours(left: string, right: string, signal = new AbortController().signal): AsyncGenerator<Buffer> {
    const query = { sides: { left, right }, hexLength: this.hexLength };
    return patchOutput(this.repository, query, { signal, config: async () => WITH_PREFIXES });
  }

  /** Returns the output of a separate `git diff`. */
  async expected(left: string, right: string): Promise<Buffer> {
    const command = patchCommand({ left, right }, { hexLength: this.hexLength });
    return await this.repository.run(command, {
      config: WITH_PREFIXES,
      maxOutputBytes: 1 << 28,
    });
  }

  async assertSame(left: string, right: string): Promise<Buffer> {
    const expected = await this.expected(left, right);
    this.started.length = 0;
    const ours = await whole(this.ours(left, right));
    assert.ok(ours.equals(expected), `${left} ${right}`);
    return ours;
  }

  get startedCommands(): string[] {
    return this.started.map(({ subcommand }) => subcommand).filter((name) => name !== 'cat-file');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.git.close();
  }
}

async function whole(output: AsyncIterable<Buffer>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(output));
}

// Without attributes from a tree every comparison starts git.
const skip = needsGit('attrTree');

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a waiting process prints what git diff prints, ${objectFormat}`, { skip }, async () => {
    await using fixture = await Fixture.create(objectFormat);
    const count = 30;
    fixture.import(randomTrees(seededRandom(5), { count, hexLength: fixture.hexLength }));
    const oids = gitOutput(fixture.repository.path, ['rev-list', '--all']).split('\n');
    assert.ok(oids.length >= count);
    gitOutput(fixture.repository.path, ['update-ref', 'HEAD', oids[0] ?? '']);

    for (const [index, oid] of oids.entries()) {
      await fixture.assertSame(oid, oids[(index * 7 + 1) % oids.length] ?? oid);
      if (index > 0) assert.deepEqual(fixture.startedCommands, []);
    }
  });
}

test('names and ancestors are compared by the waiting process, other revisions by git diff', {
  skip,
}, async () => {
  await using fixture = await Fixture.create();
  for (const content of ['1\n', '2\n', '3\n']) {
    const at = `${gitOutput(fixture.repository.path, ['for-each-ref', '--format=%(objectname)'])}`;
    fixture.import(
      `commit refs/heads/main\ncommitter C <c@x> 1600000000 +0000\ndata 0\n\n${at && `from ${at}\n`}` +
        `M 100644 inline a\ndata 2\n${content}\ndone\n`,
    );
  }
  gitOutput(fixture.repository.path, ['tag', '-a', '-m', 't', 'v1.0', 'main~1']);
  const tip = gitOutput(fixture.repository.path, ['rev-parse', 'main']);
  gitOutput(fixture.repository.path, ['update-ref', `refs/heads/${tip.slice(0, 7)}`, 'main~2']);
  await fixture.assertSame('main~2', 'main');

  for (const [left, right] of [
    ['main~2', 'main'],
    ['main^^', 'v1.0'],
    ['refs/heads/main~1', 'HEAD'],
    [`${tip}~2`, tip],
  ] as const) {
    assert.ok((await fixture.assertSame(left, right)).length > 0);
    assert.deepEqual(fixture.startedCommands, [], `${left} ${right}`);
  }
  for (const [left, right] of [
    [tip.slice(0, 7), 'main~2'],
    [`x-1-g${tip.slice(0, 7)}`, 'main~2'],
    ['main^!', 'main'],
    ['main:a', 'main~1:a'],
  ] as const) {
    await fixture.assertSame(left, right);
    assert.deepEqual(fixture.startedCommands, ['diff'], `${left} ${right}`);
  }
});

test('long answers, short ones and empty ones are cut where they end, wherever the pieces do', {
  skip,
}, async () => {
  await using fixture = await Fixture.create();
  const base = fixture.commit({ a: 'a\n' });
  const sizes = [0, 1, 2, 3, 4, 5, 6, 7, 65_000, 65_280, 65_400, 65_536, 200_000, 3_000_000];
  const tips = sizes.map((size) => fixture.commit({ a: `${'x'.repeat(size)}\n=end`, b: '=end\n' }));

  for (const tip of tips) {
    await fixture.assertSame(base, tip);
    assert.equal((await fixture.assertSame(tip, tip)).length, 0);
    await fixture.assertSame(tip, base);
  }
});

for (const isEnabled of [true, false]) {
  test(`the attributes are those of HEAD, also when it moves, in process: ${isEnabled}`, {
    skip,
  }, async () => {
    await using fixture = await Fixture.create('sha1', { isEnabled });
    const before = fixture.commit({ 'a.x': 'one\n' });
    const behind = fixture.commit({ 'a.x': 'two\n' });
    assert.match((await fixture.assertSame(before, behind)).toString(), /\+two/);

    fixture.commit({ '.gitattributes': '*.x -diff\n' });
    assert.match((await fixture.assertSame(before, behind)).toString(), /Binary files/);

    fixture.commit({});
    assert.match((await fixture.assertSame(before, behind)).toString(), /\+two/);
  });
}

for (const isEnabled of [true, false]) {
  test(`submodules are compared as git compares them, in process: ${isEnabled}`, { skip }, async () => {
    await using fixture = await Fixture.create('sha1', { isEnabled });
    const gitlink = (oid: string, modules: string): string => {
      const files = [
        `M 160000 ${oid.repeat(40)} sub`,
        'M 100644 inline .gitmodules',
        `data ${modules.length}`,
        modules,
      ];
      const head = [
        'commit refs/heads/main',
        'committer C <c@x> 1600000000 +0000',
        'data 0',
        '',
        'deleteall',
      ];
      fixture.import(`${[...head, ...files].join('\n')}\ndone\n`);
      return gitOutput(fixture.repository.path, ['rev-parse', 'main']);
    };
    const modules = '[submodule "sub"]\n\tpath = sub\n\turl = https://example.com/sub\n';
    const [before, behind] = [gitlink('1', modules), gitlink('2', modules)];
    await fixture.assertSame(before, behind);

    gitlink('2', `${modules}\tignore = all\n`);

    await fixture.assertSame(before, behind);
  });
}

test('settings that matter to git diff are left to it', { skip }, async () => {
  await using fixture = await Fixture.create('sha1', { isEnabled: true });
  const [before, behind] = [
    fixture.commit({ a: '1\n2\n3\n4\n5\n' }),
    fixture.commit({ a: '1\n2\nx\n4\n5\n' }),
  ];
  await fixture.assertSame(before, behind);
  assert.deepEqual(fixture.startedCommands, []);

  gitOutput(fixture.repository.path, ['config', 'diff.context', '1']);
  const short = await fixture.assertSame(before, behind);

  assert.doesNotMatch(short.toString(), /^ 1$/m);
  assert.deepEqual(fixture.startedCommands, ['diff']);
  gitOutput(fixture.repository.path, ['config', '--unset', 'diff.context']);
  mkdirSync(join(fixture.repository.path, 'info'), { recursive: true });
  writeFileSync(join(fixture.repository.path, 'info/attributes'), 'a -diff\n');
  assert.match((await fixture.assertSame(before, behind)).toString(), /Binary files/);
  assert.deepEqual(fixture.startedCommands, ['diff']);
});

test('what is missing is for git to say', { skip }, async () => {
  await using fixture = await Fixture.create();
  const tip = fixture.commit({ a: 'a\n' });

  await assert.rejects(whole(fixture.ours(tip, '1'.repeat(40))), { exitCode: 128 });
  await fixture.assertSame(tip, '4b825dc642cb6eb9a060e54bf8d69288fbee4904');
});

test('a reader that leaves and one that is aborted end their process, and nobody else is disturbed', {
  skip,
}, async () => {
  await using fixture = await Fixture.create();
  const [before, behind] = [fixture.commit({ a: 'a\n' }), fixture.commit({ a: 'line\n'.repeat(200_000) })];

  for await (const bytes of fixture.ours(before, behind)) {
    assert.ok(bytes.length > 0);
    break;
  }
  const controller = new AbortController();
  const aborted = (async () => {
    for await (const _ of fixture.ours(before, behind, controller.signal)) controller.abort();
  })();
  await assert.rejects(aborted, { code: 'CANCELLED' });

  await Promise.all(Array.from({ length: 8 }, () => fixture.assertSame(before, behind)));
});

test('a process that dies while it waits is replaced', { skip }, async () => {
  await using fixture = await Fixture.create();
  const [before, behind] = [fixture.commit({ a: 'a\n' }), fixture.commit({ a: 'b\n' })];
  await fixture.assertSame(before, behind);
  const [waiting] = fixture.started.filter(({ subcommand }) => subcommand === 'diff-tree');
  assert.ok(waiting);

  process.kill(waiting.pid, 'SIGKILL');

  await fixture.assertSame(before, behind);
  await fixture.assertSame(behind, before);
});
