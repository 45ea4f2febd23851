import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { SUBCOMMANDS, type Subcommand, type SubcommandName } from './allowed.ts';
import { configOf } from './config.ts';
import { gitEnvironment, inheritedEnvironment } from './environment.ts';
import { flag, gitCommand, joined, value } from './git-command.ts';

test('words stand in the order that git wants', () => {
  const command = gitCommand('log', {
    options: [flag('--topo-order'), value('--max-count', 3), joined('--format', '%H')],
    args: ['a'],
    revisions: [Buffer.from('b')],
    paths: ['-path', 'other'],
  });

  assert.deepEqual(command.words.map(String), [
    'log',
    '--topo-order',
    '--max-count',
    '3',
    '--format=%H',
    '--end-of-options',
    'a',
    'b',
    '--',
    '-path',
    'other',
  ]);
});

test('commands that do not take --end-of-options do not get it', () => {
  assert.deepEqual(gitCommand('rev-list', { revisions: ['--all', 'main'] }).words, [
    'rev-list',
    '--all',
    'main',
  ]);
  assert.deepEqual(gitCommand('bundle', { action: 'create', args: ['x'] }).words, [
    'bundle',
    'create',
    '--end-of-options',
    'x',
  ]);
});

test('`git diff` of two words ends its revisions, so that it never compares files of the server', () => {
  const revisions = ['/etc/passwd', '/dev/null'];

  const fixed = ['--no-ext-diff', '--no-textconv'];
  const expected = ['diff', ...fixed, '--end-of-options', ...revisions, '--'];
  assert.deepEqual(gitCommand('diff', { revisions }).words, expected);
  assert.deepEqual(gitCommand('diff').words, ['diff', ...fixed]);
});

for (const revision of [
  '-x',
  '^-x',
  '^^-x',
  'a..-x',
  'a...-x',
  'a....-x',
  'a.....-x',
  '..-x',
  '...-x',
  'a..b...-x',
  'a...-x:path',
  Buffer.from('a\xff..-x', 'latin1'),
]) {
  test(`no half of a revision may be an option of the git that gets it: ${revision}`, () => {
    const parts = { revisions: [revision] };
    assert.throws(() => gitCommand('range-diff', parts), /start with dash '-'/);
    if (revision !== '-x')
      for (const name of ['log', 'merge-base', 'rev-list'] as const)
        assert.equal(gitCommand(name, parts).words.at(-1), revision);
  });
}

for (const revision of [
  'a-b',
  'main^-',
  'main^-1',
  'a..b-',
  'refs/heads/-a..b',
  'a.-b',
  '@{-1}',
  '^a',
  'a^!',
]) {
  test(`a dash elsewhere is no option: ${revision}`, () => {
    for (const name of ['log', 'range-diff', 'rev-list'] as const)
      assert.equal(gitCommand(name, { revisions: [revision] }).words.at(-1), revision);
  });
}

test('a path may hold a dash behind dots, except where git cuts the whole word', () => {
  assert.equal(gitCommand('rev-parse', { revisions: ['main:a..-b'] }).words.at(-1), 'main:a..-b');
  assert.throws(() => gitCommand('range-diff', { revisions: ['main:a..-b'] }), /positional arg "-b" cannot/);
});

for (const [name, build, message] of [
  // The type refuses it too, but names may come from untyped code.
  [
    'an unknown subcommand',
    () => gitCommand('mayhem' as SubcommandName),
    'invalid sub command name "mayhem": invalid argument',
  ],
  [
    'a name from the prototype',
    () => gitCommand('constructor' as SubcommandName),
    'invalid sub command name "constructor": invalid argument',
  ],
  [
    'a flag without a dash',
    () => gitCommand('log', { options: [flag('x')] }),
    'flag "x" failed regex validation: invalid argument',
  ],
  [
    'two dashes',
    () => gitCommand('log', { options: [value('--', 1)] }),
    'value flag "--" failed regex validation: invalid argument',
  ],
  [
    'an action with a dash',
    () => gitCommand('bundle', { action: '-x' }),
    'invalid action "-x": invalid argument',
  ],
  [
    'a positional word with a dash',
    () => gitCommand('log', { revisions: ['-x'] }),
    `positional arg "-x" cannot start with dash '-': invalid argument`,
  ],
  [
    'bytes with a dash',
    () => gitCommand('log', { args: [Buffer.from('--upload-pack=x')] }),
    `positional arg "--upload-pack=x" cannot start with dash '-': invalid argument`,
  ],
  [
    'a bad pseudo-revision',
    () => gitCommand('rev-list', { revisions: ['--exec'] }),
    `validating positional argument: revision can't start with '-'`,
  ],
  [
    'a NUL in a path',
    () => gitCommand('log', { paths: ['a\0b'] }),
    'detected null byte in command argument "a\\x00b"',
  ],
  [
    'a NUL in bytes',
    () => gitCommand('log', { paths: [Buffer.from('a\0b')] }),
    'detected null byte in command argument "a\\x00b"',
  ],
  [
    'a NUL in an option',
    () => gitCommand('log', { options: [value('--author', 'a\0')] }),
    'detected null byte in command argument "a\\x00"',
  ],
] as const) {
  test(`${name} is refused`, () => {
    assert.throws(build, { message });
  });
}

test('another control character in bytes is none of our business', () => {
  const path = Buffer.of(0x61, 1);

  assert.equal(gitCommand('log', { paths: [path] }).words.at(-1), path);
});

/** Returns the names of the subcommands for which something holds. */
function names(holds: (command: Subcommand) => boolean): string {
  return Object.entries(SUBCOMMANDS)
    .filter(([, command]) => holds(command))
    .map(([name]) => name)
    .join(' ');
}

test('commands that may change references or have no end of options are those of Gitaly', () => {
  // Besides `merge`, which Gitaly does not start. @see Gitaly: gitcmd/command_description.go
  assert.equal(
    names(({ updatesReferences }) => updatesReferences),
    'am checkout clone commit fetch filter-repo merge receive-pack remote symbolic-ref tag update-ref ' +
      'worktree',
  );
  assert.equal(
    names(({ endOfOptions }) => !endOfOptions),
    'archive blame check-attr check-ref-format checkout filter-repo grep index-pack patch-id range-diff ' +
      'remote rev-list rev-parse unpack-objects upload-archive worktree',
  );
});

test('commands with a limit of processor time compare contents, or match patterns of users', () => {
  assert.equal(
    names(({ maxCpuSeconds }) => maxCpuSeconds !== undefined),
    'am archive blame check-attr diff diff-pairs diff-tree format-patch grep log merge merge-file ' +
      'merge-tree patch-id range-diff worktree',
  );
  assert.equal(
    names(({ attributesOfHead }) => attributesOfHead),
    'archive cat-file check-attr diff format-patch log merge merge-tree rev-parse update-ref worktree',
  );
  assert.equal(
    names(
      ({ fixedOptions }) => fixedOptions.includes('--no-ext-diff') && fixedOptions.includes('--no-textconv'),
    ),
    'diff diff-pairs diff-tree format-patch',
  );
});

test('git on this machine knows every listed subcommand, or will later', () => {
  const known = new Set(execFileSync('git', ['--list-cmds=builtins,main'], { encoding: 'utf8' }).split('\n'));
  const newer = ['backfill', 'diff-pairs', 'last-modified', 'refs', 'replay', 'filter-repo'];

  assert.deepEqual(
    Object.keys(SUBCOMMANDS).filter((name) => !known.has(name) && !newer.includes(name)),
    [],
  );
});

test('settings are in order of precedence and depend on the command', () => {
  const operator = [{ key: 'gc.auto', value: '7' }];
  const call = [{ key: 'receive.maxInputSize', value: '1' }];
  const keys = configOf({
    command: 'receive-pack',
    objectFormat: 'sha256',
    call,
    operator,
    packReuseMulti: true,
  }).map(({ key, value: set }) => `${key}=${set}`);

  assert.equal(keys[0], 'gc.auto=0');
  assert.equal(keys.at(-1), 'gc.auto=7');
  assert.equal(keys.at(-2), 'receive.maxInputSize=1');
  assert.ok(keys.includes('receive.hideRefs=refs/tmp/'));
  assert.ok(keys.includes('attr.tree=6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321'));
  assert.ok(
    configOf({ command: 'diff', objectFormat: 'sha1', call: [], operator, packReuseMulti: true }).some(
      ({ key, value: set }) => key === 'attr.tree' && set === 'HEAD',
    ),
  );
});

test('a setting of a wrong shape is refused', () => {
  const build = (key: string) => () =>
    configOf({
      command: 'log',
      objectFormat: undefined,
      call: [{ key, value: '' }],
      operator: [],
      packReuseMulti: true,
    });

  for (const key of ['', 'x', 'a=b.c', '.x', 'a b.c']) {
    assert.throws(build(key), {
      message: `config key ${JSON.stringify(key)} failed regexp validation: invalid argument`,
    });
  }
});

test('children see of our environment only what is listed, and nobody overrides the fixed part', () => {
  const inherited = inheritedEnvironment({ HOME: '/h', SECRET: 's', GIT_DIR: '/x', TZ: 'UTC' });
  const env = gitEnvironment({
    inherited,
    env: { LANG: 'de', GIT_AUTHOR_NAME: 'A' },
    gitProtocol: 'version=2:object-format=x',
  });

  assert.deepEqual(env, {
    HOME: '/h',
    TZ: 'UTC',
    GIT_AUTHOR_NAME: 'A',
    LANG: 'en_US.UTF-8',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
    XDG_CONFIG_HOME: '/dev/null',
  });
});

test('a quarantine is told to git, colons in its path included', () => {
  const repository = {
    path: '/r',
    objectDirectory: '/q',
    alternateObjectDirectories: ['/r/objects', '/odd:"path'],
    knownObjectFormat: undefined,
  };
  const env = gitEnvironment({ inherited: {}, repository, gitProtocol: 'version=2' });

  assert.equal(env.GIT_OBJECT_DIRECTORY, '/q');
  assert.equal(env.GIT_ALTERNATE_OBJECT_DIRECTORIES, '/r/objects:"/odd:\\"path"');
  assert.equal(env.GIT_PROTOCOL, 'version=2');
});
