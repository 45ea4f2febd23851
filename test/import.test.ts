import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { programCommand } from '#testkit/programs/program-command';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const ROOT = join(import.meta.dirname, '..');
const ARGUMENTS = programCommand('gitaly-ts');

interface Place extends Disposable {
  readonly root: string;
  readonly data: string;
  /** Temporary directory of the command. */
  readonly temporary: string;
  run(...args: string[]): Promise<RunResult>;
  /** Creates a repository with a commit of `bytes` random bytes. */
  make(
    name: string,
    options?: { format?: 'sha1' | 'sha256'; bytes?: number; bare?: boolean },
  ): Promise<string>;
  imported(name: string): string;
}

function place(): Place {
  const root = mkdtempSync(join(tmpdir(), 'import-'));
  const [data, temporary] = [join(root, 'data'), join(root, 'tmp')];
  mkdirSync(temporary);
  return {
    root,
    data,
    temporary,
    run: (...args) =>
      run(process.execPath, [...ARGUMENTS, 'import', ...args], {
        cwd: ROOT,
        env: { ...GIT_ENVIRONMENT, TMPDIR: temporary },
      }),
    imported: (name) => join(data, 'repositories', name),
    async make(name, { format = 'sha1', bytes = 1000, bare = false } = {}) {
      const path = join(root, name);
      await runGit([
        'init',
        '-q',
        '-b',
        'trunk',
        `--object-format=${format}`,
        ...(bare ? ['--bare'] : []),
        path,
      ]);
      const blob = await runGit(['-C', path, 'hash-object', '-w', '--stdin'], { input: randomBytes(bytes) });
      const tree = await runGit(['-C', path, 'mktree'], { input: `100644 blob ${blob}\tfile\n` });
      const commit = await runGit(['-C', path, 'commit-tree', '-m', name, tree]);
      await runGit(['-C', path, 'update-ref', 'refs/heads/trunk', commit]);
      return path;
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

const references = (path: string): Promise<string> =>
  runGit(['-C', path, 'for-each-ref', '--format=%(objectname) %(refname)']);
const head = (path: string): Promise<string> => runGit(['-C', path, 'symbolic-ref', 'HEAD']);

test('everything below a directory is imported with all references; a second import skips it', async () => {
  using at = place();
  const work = await at.make('all/work');
  const bare = await at.make('all/group/bare.git', { format: 'sha256', bare: true });
  const oid = await runGit(['-C', work, 'rev-parse', 'trunk']);
  for (const name of [
    'refs/keep-around/1',
    'refs/pull/7/head',
    'refs/tmp/x',
    'refs/remotes/origin/trunk',
    'refs/merge-requests/1/head',
  ]) {
    await runGit(['-C', work, 'update-ref', name, oid]);
  }
  await runGit(['-C', work, 'tag', '-a', '-m', 'tag', 'v1', oid]);
  await runGit(['-C', work, 'config', 'transfer.hideRefs', 'refs/pull']);
  await runGit(['init', '-q', '--bare', '-b', 'later', join(at.root, 'all/empty.git')]);
  mkdirSync(join(at.root, 'all/nothing'));

  const first = await at.run('--recursive', join(at.root, 'all'), '--to', at.data);
  const second = await at.run('--recursive', join(at.root, 'all'), '--to', at.data);

  assert.deepEqual([first.code, second.code], [0, 0], first.stderr);
  assert.match(first.stdout, /^imported {2}work\.git {2}7 references, /m);
  assert.match(first.stdout, /^imported {2}empty\.git {2}0 references, 0 B, is empty$/m);
  assert.match(first.stderr, /^3 imported, 0 skipped, 0 failed, /m);
  assert.match(second.stdout, /^skipped {3}group\/bare\.git {2}exists already$/m);
  assert.match(second.stderr, /^0 imported, 3 skipped, 0 failed, 0 B/m);
  assert.equal(await references(at.imported('work.git')), await references(work));
  assert.equal(await references(at.imported('group/bare.git')), await references(bare));
  assert.equal(await head(at.imported('work.git')), 'refs/heads/trunk');
  assert.equal(await head(at.imported('empty.git')), 'refs/heads/later');
  assert.equal(
    await runGit(['-C', at.imported('group/bare.git'), 'rev-parse', '--show-object-format']),
    'sha256',
  );
  await runGit(['-C', at.imported('work.git'), 'fsck', '--full', '--strict']);
  assert.deepEqual(readdirSync(at.data), ['repositories']);
  assert.deepEqual(readdirSync(at.temporary), []);
});

// "imported", without the stash; repeated, it failed with "exists with other references".
test('a stash is left out and named, and the import can be repeated', async () => {
  using at = place();
  const work = await at.make('work');
  const oid = await runGit(['-C', work, 'rev-parse', 'trunk']);
  await runGit(['-C', work, 'update-ref', 'refs/stash', oid]);

  const first = await at.run(work, '--to', at.data);
  const second = await at.run(work, '--to', at.data);

  assert.match(first.stdout, /^imported {2}work\.git {2}1 reference.*, without refs\/stash, which git/);
  assert.deepEqual([first.code, second.code], [0, 0], second.stderr);
  assert.match(second.stdout, /^skipped {3}work\.git {2}exists already/);
});

test('an import uses the server that runs on the directory', async () => {
  using at = place();
  const source = await at.make('one');
  const server = spawn(process.execPath, [...ARGUMENTS, 'up', at.data, '--http', '127.0.0.1:0'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(server, 'exit');
  try {
    let welcome = '';
    for await (const chunk of server.stdout.iterator({ destroyOnReturn: false })) {
      welcome += chunk;
      if (welcome.includes('Ctrl-C')) break;
    }
    const { code, stderr } = await at.run(source, '--name', 'team/renamed', '--to', at.data);

    assert.equal(code, 0, stderr);
    const url = /http:\/\/\S+:\d+/.exec(welcome)?.[0];
    const remote = await runGit(['ls-remote', `${url}/team/renamed.git`, 'HEAD', 'refs/heads/*']);
    const oid = await runGit(['-C', source, 'rev-parse', 'trunk']);
    assert.equal(remote, `${oid}\tHEAD\n${oid}\trefs/heads/trunk`);
  } finally {
    server.kill('SIGTERM');
    await exited;
  }
});

test('an import into a running server, with its token, from a list with names and a bundle', async () => {
  using at = place();
  await using gitaly = await startGitaly({ token: 'of the server', tcp: true });
  const source = await at.make('one');
  await runGit(['-C', source, 'bundle', 'create', '-q', join(at.root, 'two.bundle'), '--all', 'HEAD']);
  writeFileSync(
    join(at.root, 'list'),
    `# what to import\n${source}  lists/first\n\n${join(at.root, 'two.bundle')}\n`,
  );

  const args = [
    'import',
    '--list',
    join(at.root, 'list'),
    '--prefix',
    'p',
    '--to',
    gitaly.addresses.tcp ?? '',
  ];
  const env = { ...GIT_ENVIRONMENT, TMPDIR: at.temporary, GITALY_TOKEN: 'of the server' };
  const { code, stdout, stderr } = await run(process.execPath, [...ARGUMENTS, ...args], { cwd: ROOT, env });
  const refused = await run(process.execPath, [...ARGUMENTS, ...args], {
    cwd: ROOT,
    env: { ...env, GITALY_TOKEN: 'another' },
  });
  const unsigned = await run(process.execPath, [...ARGUMENTS, ...args], {
    cwd: ROOT,
    env: { ...env, GITALY_TOKEN: '' },
  });

  assert.equal(code, 0, stderr);
  assert.match(stdout, /^imported {2}p\/lists\/first\.git/m);
  for (const name of ['p/lists/first.git', 'p/two.git']) {
    assert.equal(await references(join(gitaly.storagePath(), name)), await references(source));
    assert.equal(await head(join(gitaly.storagePath(), name)), 'refs/heads/trunk');
  }
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /failed {4}p\/two\.git .*permission denied/);
  assert.match(
    unsigned.stderr,
    /failed {4}p\/two\.git .*authentication required: set GITALY_TOKEN to the token of the server/,
  );
  assert.doesNotMatch(stdout + stderr + refused.stderr, /of the server/);
});

/** Starts a gateway that requires a user and a password. */
async function guardedGateway(address: string, userAndPassword: string) {
  const gateway = await startHttpGateway({
    gitaly: { address },
    mapping: storageMapping('default'),
    listen: { host: '127.0.0.1', port: 0 },
  });
  const wanted = `Basic ${Buffer.from(userAndPassword).toString('base64')}`;
  const server = createServer((incoming, outgoing) => {
    if (incoming.headers.authorization !== wanted) {
      outgoing.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return;
    }
    const { method, url, headers } = incoming;
    incoming.pipe(
      request(`${gateway.url}${url}`, { method, headers }, (answer) =>
        answer.pipe(outgoing.writeHead(answer.statusCode ?? 500, answer.headers)),
      ),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await gateway.close({ graceMs: 0 });
    },
  };
}

test('the password of a URL is neither printed nor stored nor on a command line', async () => {
  using at = place();
  await using gitaly = await startGitaly();
  const source = await at.make('one');
  const seen = join(at.root, 'seen');
  const realGit = (await run('sh', ['-c', 'command -v git'])).stdout.trim();
  writeFileSync(join(at.root, 'git'), `#!/bin/sh\necho "$@" >>${seen}\nexec ${realGit} "$@"\n`, {
    mode: 0o755,
  });
  assert.equal((await at.run(source, '--name', 'guarded', '--to', gitaly.address)).code, 0);
  await using gateway = await guardedGateway(gitaly.address, 'ann:s3cr%t/word');
  const url = (password: string): string => `http://ann:${password}@127.0.0.1:${gateway.port}/guarded.git`;
  const env = { ...GIT_ENVIRONMENT, TMPDIR: at.temporary, PATH: `${at.root}:${process.env.PATH}` };
  const go = (...args: string[]) =>
    run(process.execPath, [...ARGUMENTS, 'import', ...args, '--to', at.data], { cwd: ROOT, env });

  const good = await go(url('s3cr%25t%2Fword'));
  const bad = await go(url('wrong-word'), '--name', 'other');

  assert.equal(good.code, 0, good.stderr);
  assert.equal(await references(at.imported('guarded.git')), await references(source));
  assert.equal(bad.code, 1);
  assert.match(
    bad.stderr,
    /^failed {4}other\.git {2}from http:\/\/\[FILTERED\]@127\.0\.0\.1:\d+\/guarded\.git: fatal: Authentication failed/m,
  );
  const everything =
    [good, bad].map(({ stdout, stderr }) => stdout + stderr).join('') + readFileSync(seen, 'utf8');
  assert.match(everything, /clone --mirror/);
  assert.doesNotMatch(everything, /s3cr|word/);
  assert.doesNotMatch(readFileSync(join(at.imported('guarded.git'), 'config'), 'utf8'), /127\.0\.0\.1/);
  assert.equal(existsSync(at.imported('other.git')), false);
  assert.deepEqual(readdirSync(at.temporary), []);
});

test('failed sources are reported by line, leave nothing behind and do not stop the others', async () => {
  using at = place();
  const whole = await at.make('whole');
  const holed = await at.make('holed');
  const missing = await runGit(['-C', holed, 'rev-parse', 'trunk:file']);
  rmSync(join(holed, '.git/objects', missing.slice(0, 2), missing.slice(2)));
  await runGit(['-C', whole, 'commit', '-q', '--allow-empty', '-m', 'two']);
  await runGit(['clone', '-q', '--depth=1', `file://${whole}`, join(at.root, 'shallow')]);
  mkdirSync(join(at.root, 'no-repository'));
  const other = await at.make('other/whole');
  assert.equal((await at.run(other, '--to', at.data)).code, 0);

  const sources = ['holed', 'shallow', 'no-repository', 'whole'].map((name) => join(at.root, name));
  // "exit status 128", "object of unexpected type" and nothing else.
  const extended = await at.make('extended');
  await runGit(['-C', extended, 'config', 'core.repositoryFormatVersion', '1']);
  await runGit(['-C', extended, 'config', 'extensions.newerThanGit', 'true']);
  const grafted = await at.make('grafted');
  const blob = await runGit(['-C', grafted, 'rev-parse', 'trunk:file']);
  const tip = await runGit(['-C', grafted, 'rev-parse', 'trunk']);
  writeFileSync(join(grafted, '.git/info/grafts'), `${tip} ${blob}\n`);
  sources.push(extended, grafted);
  writeFileSync(join(at.root, 'list'), `${sources.join('\n')}\n${whole} good\n/not/there\n`);
  const { code, stdout, stderr } = await at.run('--list', join(at.root, 'list'), '--to', at.data);

  assert.equal(code, 1);
  assert.match(stdout, /^imported {2}good\.git/m);
  assert.match(stderr, /^failed {4}holed\.git {2}from .*: .*(unable to read|bad object|missing)/m);
  assert.match(
    stderr,
    /^failed {4}shallow\.git .*is a shallow clone: run "git fetch --unshallow" in it first$/m,
  );
  assert.match(stderr, /^failed {4}no-repository\.git .*is not a git repository/m);
  assert.match(stderr, /^failed {4}whole\.git .*a repository of that name exists with other references/m);
  assert.match(stderr, /^failed {4}there\.git .*no such file or directory$/m);
  assert.match(stderr, /^failed {4}extended\.git .*unknown repository extension.*newerthangit/m);
  assert.match(stderr, /^failed {4}grafted\.git .*has info\/grafts.*git replace --convert-graft-file/m);
  assert.match(stderr, /^1 imported, 0 skipped, 7 failed/m);
  assert.equal(await references(at.imported('whole.git')), await references(other));
  assert.deepEqual(
    readdirSync(join(at.data, 'repositories')).filter(
      (name) => !name.startsWith('+') && !name.startsWith('.'),
    ),
    ['good.git', 'whole.git'],
  );
});

test("objects that fail git's checks are refused, and accepted with --no-fsck", async () => {
  using at = place();
  const source = await at.make('old');
  const tree = await runGit(['-C', source, 'rev-parse', 'trunk^{tree}']);
  const input = `tree ${tree}\nauthor nobody 1 +0000\ncommitter nobody 1 +0000\n\nno email\n`;
  const oid = await runGit(['-C', source, 'hash-object', '-t', 'commit', '-w', '--stdin', '--literally'], {
    input,
  });
  await runGit(['-C', source, 'update-ref', 'refs/heads/old', oid]);

  const refused = await at.run(source, '--to', at.data);
  const taken = await at.run(source, '--to', at.data, '--no-fsck');

  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^failed {4}old\.git .*missingEmail.*\(use --no-fsck to import it nevertheless\)$/m,
  );
  assert.equal(taken.code, 0, taken.stderr);
  assert.equal(await references(at.imported('old.git')), await references(source));
});

test("the source's configuration runs no programs and redirects nothing", async () => {
  using at = place();
  const source = await at.make('trap');
  const mark = join(at.root, 'mark');
  writeFileSync(join(source, '.git/hooks/pre-push'), `#!/bin/sh\ntouch ${mark}\n`, { mode: 0o755 });
  for (const [key, value] of [
    [`url.ext::touch ${mark}.insteadOf`, 'fd::3'],
    ['protocol.ext.allow', 'always'],
    ['push.gpgSign', 'true'],
    ['gpg.program', `touch ${mark}`],
    ['push.pushOption', 'x'],
    ['core.fsmonitor', `touch ${mark}`],
  ] as const) {
    await runGit(['-C', source, 'config', key, value]);
  }

  const { code } = await at.run(source, '--to', at.data);

  assert.equal(code, 1, 'the push is refused: its address was rewritten');
  assert.equal(existsSync(mark), false);
  await runGit(['-C', source, 'config', '--unset-all', `url.ext::touch ${mark}.insteadOf`]);
  assert.equal((await at.run(source, '--to', at.data)).code, 0);
  assert.equal(existsSync(mark), false);
});

test('wrong usage is reported before anything happens, with exit code 2', async () => {
  using at = place();
  await at.make('a/x');
  await at.make('b/x');
  const [a, b] = [join(at.root, 'a/x'), join(at.root, 'b/x')];

  for (const [args, text] of [
    [[a, b], /have the same name x\.git: set names with --list/],
    [[a, b, '--name', 'one'], /--name works with one repository, but there are 2/],
    [[a, '--name', '../up'], /is not a valid repository name/],
    [[a, '--jobs', '0'], /expected a number from 1 to 64/],
    [[join(at.root, 'none'), '--recursive'], /no such file or directory/],
    [[at.temporary, '--recursive'], /no repository found/],
    [[a, '--no-such-option'], /unknown option/],
  ] as const) {
    const { code, stderr } = await at.run(...args, '--to', at.data);

    assert.equal(code, 2, stderr);
    assert.match(stderr, text);
  }
  assert.equal(existsSync(at.data), false);
});

test('an interrupt ends the import, leaves nothing incomplete, and the next one completes it', async () => {
  using at = place();
  const source = await at.make('quick');
  const silent = createTcpServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  try {
    const child = spawn(
      process.execPath,
      [...ARGUMENTS, 'import', `git://127.0.0.1:${port}/hangs.git`, source, '--jobs', '1', '--to', at.data],
      {
        cwd: ROOT,
        env: { ...process.env, ...GIT_ENVIRONMENT, TMPDIR: at.temporary },
      },
    );
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    await once(silent, 'connection');

    child.kill('SIGINT');
    const [code] = await once(child, 'close');

    assert.equal(code, 1);
    assert.match(stderr, /Stopped with 2 of 2 not imported\. Run the same command again to continue/);
    assert.deepEqual(readdirSync(at.temporary), []);
    assert.equal((await at.run(source, '--to', at.data)).code, 0);
  } finally {
    silent.close();
    connect(port).on('error', () => {});
  }
});

/** Ends an import while it sends the repository `big`, and returns its exit code. */
async function killImport(at: Place, source: string, signal: NodeJS.Signals): Promise<unknown> {
  const child = spawn(process.execPath, [...ARGUMENTS, 'import', source, '--to', at.data], {
    cwd: ROOT,
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  await until(() => existsSync(at.imported('big.git/HEAD')));
  await delay(50); // a moment in the middle of sending

  child.kill(signal);
  const [code] = await exited;
  return code;
}

test('an interrupt while a repository is sent removes it again', async () => {
  using at = place();
  const source = await at.make('big', { bytes: 24 << 20 });

  const code = await killImport(at, source, 'SIGTERM');

  const left = existsSync(at.imported('big.git')) ? await references(at.imported('big.git')) : 'removed';
  assert.equal(left, code === 0 ? await references(source) : 'removed');
  assert.deepEqual(readdirSync(at.data), ['repositories']);
});

test('a killed import leaves a repository empty or complete, and the next one completes it', async () => {
  using at = place();
  const source = await at.make('big', { bytes: 24 << 20 });
  await killImport(at, source, 'SIGKILL');

  const left = await references(at.imported('big.git'));
  const { code, stderr } = await at.run(source, '--to', at.data);

  assert.ok(left === '' || left === (await references(source)));
  assert.equal(code, 0, stderr);
  assert.equal(await references(at.imported('big.git')), await references(source));
  assert.equal(await head(at.imported('big.git')), 'refs/heads/trunk');
  await runGit(['-C', at.imported('big.git'), 'fsck', '--full']);
});
