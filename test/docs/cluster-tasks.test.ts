import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { commitFiles, dial } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { withoutPostgres as skip, startPostgres } from '#testkit/start-postgres';
import { until } from '#testkit/until';

const ROOT = join(import.meta.dirname, '../..');
/** The directory in the page's commands and configurations. */
const PLACE = '/tmp/cluster';
const REPOSITORY = 'app.git';
const STORAGE = 'default';
const COMMAND_LIMIT_MS = 120_000;
const user = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };
const page = readFileSync(join(ROOT, 'docs/cluster.md'), 'utf8');

/** Returns the code blocks below a heading of the page, without their indentation. */
function blocks(heading: string, language: 'sh' | 'toml'): string[] {
  const [, section = ''] = new RegExp(`^## ${heading}\n(.*?)(?=^## )`, 'ms').exec(page) ?? [];
  const found = [...section.matchAll(new RegExp(`^( *)\`\`\`${language}\n(.*?)^ *\`\`\`$`, 'gms'))];
  assert.ok(found.length > 0, heading);
  return found.map(([, indentation = '', text = '']) =>
    text.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''),
  );
}

/** Directory, programs on PATH, and running servers of a reader of the page. */
class Reader implements AsyncDisposable {
  readonly directory = makeScratchDirectory('docs');
  readonly #servers = new Map<string, { readonly kill: () => Promise<void> }>();
  readonly #env: NodeJS.ProcessEnv;

  constructor() {
    const programs = join(this.directory, 'bin');
    mkdirSync(programs);
    for (const name of ['gitaly', 'praefect', 'gitaly-ts']) {
      const entry = join(ROOT, `src/cli/${name}.ts`);
      writeFileSync(
        join(programs, name),
        `#!/bin/sh\nexec '${process.execPath}' --conditions=source '${entry}' "$@"\n`,
      );
      chmodSync(join(programs, name), 0o755);
    }
    this.#env = {
      ...process.env,
      PATH: `${programs}${delimiter}${process.env.PATH}`,
      NODE_COMPILE_CACHE: join(ROOT, '.cache/compiled'),
    };
  }

  /** Returns a text of the page as it is here. */
  here(text: string): string {
    return text.replaceAll(PLACE, this.directory);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), this.here(text));
  }

  /** Runs a block as a shell does; a line that ends in `&` is a server. Returns the output. */
  async type(block: string): Promise<string> {
    let output = '';
    for (const part of this.here(block).split(/^(.* &)\n/m)) {
      if (part.endsWith(' &')) this.#start(part.slice(0, -2));
      else if (part.trim() !== '') output += await this.#run(part);
    }
    return output;
  }

  async #run(script: string): Promise<string> {
    const { code, stderr, stdout } = await run('/bin/sh', ['-ec', script], {
      cwd: this.directory,
      env: this.#env as Record<string, string>,
      timeoutMs: COMMAND_LIMIT_MS,
    });
    assert.equal(code, 0, `${script}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Starts a server; its command line is its name. */
  #start(command: string): void {
    const output = openSync(join(this.directory, 'log'), 'a');
    const child = spawn('/bin/sh', ['-c', `exec ${command}`], {
      cwd: this.directory,
      env: this.#env,
      stdio: ['ignore', output, output],
    });
    const exited = once(child, 'exit');
    this.#servers.set(command, {
      kill: async () => {
        child.kill('SIGKILL');
        await exited;
      },
    });
  }

  /** Kills the server with these words in its command line. */
  async lose(words: string): Promise<void> {
    for (const [command, server] of this.#servers) {
      if (!command.includes(words)) continue;
      this.#servers.delete(command);
      return await server.kill();
    }
    assert.fail(`no server ${words}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.values()) await server.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function commit(address: string, storageName: string, text: string): Promise<string> {
  await using connection = await dial(address, { retry: false });
  const repository = { storageName, relativePath: REPOSITORY, glRepository: 'project-1' };
  const options = {
    repository,
    user,
    branchName: Buffer.from('main'),
    commitMessage: Buffer.from(text),
  };
  const update = await commitFiles(connection, options, [{ type: 'create', path: text, content: text }]);
  return update?.commitId ?? '';
}

test('the tasks of docs/cluster.md work as they are written', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  await using reader = new Reader();
  const { directory } = reader;
  const praefect = `unix:${directory}/praefect.socket`;
  const [node = '', cluster = ''] = blocks('Start one', 'toml');
  const [start = ''] = blocks('Start one', 'sh');
  const line = (words: string): string => `${start.split('\n').find((each) => each.includes(words))}\n`;
  const headOn = (name: string): string => {
    const path = join(directory, name, REPOSITORY);
    return existsSync(path) ? gitOutput(path, ['for-each-ref', '--format=%(objectname)']) : '';
  };
  const allHave = (id: string, ...names: string[]): void =>
    assert.deepEqual(
      names.map(headOn),
      names.map(() => id),
    );
  /** Writes until it is not refused: a failover takes ten seconds. */
  const write = async (text: string): Promise<string> => {
    let id = '';
    let attempt = 0;
    await until(async () => {
      id = await commit(praefect, STORAGE, `${text}-${++attempt}`).catch(() => '');
      return id !== '';
    }, `the write ${text}`);
    return id;
  };
  const waitFor = (name: string): Promise<void> =>
    until(async () => {
      await using connection = await dial(`unix:${directory}/${name}.socket`, { retry: false });
      return await connection.health.check({}).then(
        () => true,
        () => false,
      );
    }, name);

  // From one node to a cluster.
  reader.write('gitaly-1.toml', node);
  reader.write('gitaly-2.toml', node.replaceAll('gitaly-1', 'gitaly-2'));
  const { dbname, host, user: role } = postgres.config;
  const configured = cluster
    .replace(/^host = .*$/m, `host = "${host}"`)
    .replace(/^user = .*$/m, `user = "${role}"`)
    .replace(/^dbname = .*$/m, `dbname = "${dbname}"`)
    // The test does not wait for five minutes.
    .concat('\n[reconciliation]\nscheduling_interval = "1s"\n');
  reader.write('praefect.toml', configured);
  await reader.type(line('mkdir') + line('gitaly-1.toml'));
  await waitFor('gitaly-1');
  const alone = await dial(`unix:${directory}/gitaly-1.socket`);
  await alone.repository.createRepository({
    repository: { storageName: 'gitaly-1', relativePath: REPOSITORY },
  });
  await alone.close();
  const first = await commit(`unix:${directory}/gitaly-1.socket`, 'gitaly-1', 'alone');
  await reader.type(start.replace(line('gitaly-1.toml'), ''));
  await waitFor('gitaly-2');
  await waitFor('praefect');
  for (const block of blocks('From one node to a cluster', 'sh')) await reader.type(block);
  allHave(first, 'gitaly-1', 'gitaly-2');

  // Add a node.
  const [addStart = '', addWait = ''] = blocks('Add a node', 'sh');
  await reader.type(addStart);
  await waitFor('gitaly-3');
  const [more = ''] = blocks('Add a node', 'toml');
  reader.write('praefect.toml', configured.replace('\n[reconciliation]', `\n${more}\n[reconciliation]`));
  await reader.lose('praefect');
  await reader.type(line('praefect.toml &'));
  await waitFor('praefect');
  await reader.type(addWait);
  const second = await write('second');
  allHave(second, 'gitaly-1', 'gitaly-2', 'gitaly-3');

  // A node is lost, and back.
  const [wait = '', losses = '', accept = ''] = blocks('When a node is lost', 'sh');
  await reader.lose('gitaly-1');
  const third = await write('third');
  allHave(third, 'gitaly-2', 'gitaly-3');
  assert.equal(headOn('gitaly-1'), second);

  // Now it has the only replica, which is outdated.
  await reader.lose('gitaly-2');
  await reader.lose('gitaly-3');
  await reader.type(line('gitaly-1.toml'));
  await waitFor('gitaly-1');
  await until(async () => (await reader.type(losses)).includes(`${REPOSITORY} (unavailable)`), 'dataloss');
  assert.match(await reader.type(losses), /gitaly-1 is behind by 1 change or less, assigned host/);
  await reader.type(accept);
  const other = await write('accepted');
  assert.equal(headOn('gitaly-1'), other);
  await reader.type('gitaly serve gitaly-2.toml &\ngitaly serve gitaly-3.toml &\n');
  await reader.type(wait);
  allHave(other, 'gitaly-1', 'gitaly-2', 'gitaly-3');

  // Replace a node.
  await reader.lose('gitaly-2');
  rmSync(join(directory, 'gitaly-2'), { recursive: true });
  mkdirSync(join(directory, 'gitaly-2'));
  await reader.type('gitaly serve gitaly-2.toml &\n');
  await waitFor('gitaly-2');
  for (const block of blocks('Replace a node', 'sh')) await reader.type(block);
  await until(() => headOn('gitaly-2') === other, 'a copy on the new node');
  await reader.type(wait);
});
