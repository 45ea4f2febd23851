import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { type Command, CommanderError } from 'commander';
import { gitalyBackupProgram } from '#cli/programs/gitaly-backup-program';
import { gitalyProgram } from '#cli/programs/gitaly-program';
import { gitalyTsProgram } from '#cli/programs/gitaly-ts-program';
import { praefectProgram } from '#cli/programs/praefect-program';
import type { ProgramName } from '#cli/programs/programs';
import { dial, dialSidechannel, Pool, SidechannelRegistry } from '#client/index';
import { GitalyClient } from '#client/rails/index';
import { Repository } from '#client/repository/index';
import {
  authorizedKeysFile,
  callbackAuthentication,
  fileAuthentication,
  startHttpGateway,
  startSshGateway,
  storageMapping,
} from '#gateway/index';
import { configFrom, GitalyServer } from '#gitaly/index';
import { misspeltVariables } from '#platform/process/own-variables';
import { startGitaly, startInternalApi } from '#testkit/index';
import { programCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';

// A misspelt name of an option, key, command or variable changed nothing, silently.

const ADDRESS = 'unix:/nowhere';
const HTTP = {
  gitaly: { address: ADDRESS },
  listen: { host: '127.0.0.1', port: 0 },
  mapping: storageMapping('default'),
};
const SSH = { ...HTTP, hostKeyPath: '/nowhere', access: { everybody: { glId: 'user-1', username: 'git' } } };
const STORAGE = {
  storage: [{ name: 'default', path: tmpdir() }],
  socket_path: '/nowhere',
  bin_dir: '/nowhere',
};
const connection = await dial(ADDRESS);

/** As JavaScript passes them: TypeScript refuses them. */
const js = (options: object): never => options as never;

const CALLS: readonly (readonly [typed: string, meant: string, call: () => unknown])[] = [
  ['tokn', 'token', () => dial(ADDRESS, js({ tokn: 'x' }))],
  ['tls.serverNme', 'tls.serverName', () => dial(ADDRESS, js({ tls: { serverNme: 'x' } }))],
  ['keepalive.timeMS2', 'keepalive.timeMs', () => dial(ADDRESS, js({ keepalive: { timeMS2: 1 } }))],
  ['retry.maxAttemps', 'retry.maxAttempts', () => dial(ADDRESS, js({ retry: { maxAttemps: 1 } }))],
  ['dnsResolver.refresh', 'dnsResolver.refreshMs', () => dial(ADDRESS, js({ dnsResolver: { refresh: 1 } }))],
  [
    'acceptBacklogs',
    'acceptBacklog',
    () => dialSidechannel(ADDRESS, new SidechannelRegistry(), js({ acceptBacklogs: 1 })),
  ],
  ['dialOption', 'dialOptions', () => new Pool(js({ dialOption: {} }))],
  ['dialOptions.tokens', 'dialOptions.token', () => new Pool(js({ dialOptions: { tokens: 'x' } }))],
  ['storage', 'storages', () => new GitalyClient(js({ storage: {} }))],
  ['timeouts.fats', 'timeouts.fast', () => new GitalyClient(js({ storages: {}, timeouts: { fats: 1 } }))],
  ['glRepositry', 'glRepository', () => new Repository(connection, js({ path: 'a.git', glRepositry: 'x' }))],
  ['user.emial', 'user.email', () => new Repository(connection, js({ path: 'a.git', user: { emial: 'x' } }))],
  ['createOnpush2', 'createOnPush', () => startHttpGateway(js({ ...HTTP, createOnpush2: {} }))],
  [
    'limits.maxRequest',
    'limits.maxRequests',
    () => startHttpGateway(js({ ...HTTP, limits: { maxRequest: 1 } })),
  ],
  ['tls.keypaths', 'tls.keyPath', () => startHttpGateway(js({ ...HTTP, tls: { keypaths: '/nowhere' } }))],
  ['listen.prot', 'listen.port', () => startHttpGateway(js({ ...HTTP, listen: { prot: 1 } }))],
  ['onFailures', 'onFailure', () => startSshGateway(js({ ...SSH, onFailures: () => {} }))],
  [
    'limits.maxSession',
    'limits.maxSessions',
    () => startSshGateway(js({ ...SSH, limits: { maxSession: 1 } })),
  ],
  ['cachems2', 'cacheMs', () => callbackAuthentication(js({ url: 'http://127.0.0.1/', cachems2: 1 }))],
  ['onProblems', 'onProblem', () => fileAuthentication(js({ path: '/nowhere', onProblems: () => {} }))],
  ['onUnsed', 'onUnused', () => authorizedKeysFile('/nowhere', js({ onUnsed: () => {} }))],
  ['loger', 'logger', () => GitalyServer.start(js({ config: {}, loger: {} }))],
  ['storags', 'storages', () => startGitaly(js({ storags: [] }))],
  ['dial.tokn', 'dial.token', () => startGitaly(js({ dial: { tokn: 'x' } }))],
  ['sockt_path', 'socket_path', () => configFrom({ ...STORAGE, sockt_path: '/nowhere' })],
  ['gti', 'git', () => startGitaly({ config: { gti: {} } })],
  ['auth.tokn', 'token', () => startGitaly({ cluster: 1, praefectConfig: { auth: { tokn: 'x' } } })],
  ['scoketPath', 'socketPath', () => startInternalApi(js({ scoketPath: '/nowhere' }))],
];

for (const [typed, meant, call] of CALLS) {
  test(`the option ${typed} is refused with the name ${meant}`, async () => {
    await assert.rejects(
      async () => await call(),
      ({ message }: Error) => message.includes(`"${typed}"`) && message.endsWith(`did you mean "${meant}"?`),
    );
  });
}

const NO_EXIT = () => {};
const PROGRAMS = [
  gitalyTsProgram(),
  gitalyProgram(NO_EXIT),
  gitalyBackupProgram(NO_EXIT),
  praefectProgram(NO_EXIT),
];

/** Returns what a program writes about a wrong command line. */
async function refusal(program: Command, args: readonly string[]): Promise<string> {
  let written = '';
  const writeErr = (text: string): void => {
    written += text;
  };
  for (const [each] of commandsOf(program))
    each.exitOverride().configureOutput({ writeErr, writeOut: () => {} });
  await assert.rejects(program.parseAsync(args, { from: 'user' }), CommanderError);
  return written;
}

/** Yields each command of a program with the arguments that lead to it. */
function* commandsOf(
  command: Command,
  path: readonly string[] = [],
): Generator<[Command, readonly string[]]> {
  yield [command, path];
  for (const each of command.commands) yield* commandsOf(each, [...path, each.name()]);
}

for (const program of PROGRAMS) {
  test(`${program.name()} suggests the name of every option of every command`, async () => {
    let count = 0;
    for (const [command, path] of commandsOf(program)) {
      for (const { long, hidden } of command.options) {
        if (long === undefined || hidden || path[0] === 'git') continue; // git's own options follow
        const written = await refusal(program, [...path, `${long}x`]);
        const options = command.options.map((each) => each.long);
        const [, hint = ''] = /^Did you mean "(--[\w-]+)"\?$/m.exec(written) ?? [];
        assert.ok(options.includes(hint), `${program.name()} ${path.join(' ')} ${long}x: ${written}`);
        count++;
      }
    }
    assert.ok(count > 3);
  });
}

const COMMANDS: readonly (readonly [program: ProgramName, args: readonly string[], meant: string])[] = [
  ['gitaly-ts', ['upp'], 'up'],
  ['gitaly-ts', ['repo', 'lst'], 'list'],
  ['gitaly-ts', ['cluster', 'staus'], 'status'],
  ['gitaly-ts', ['status'], 'archive status" or "cluster status'],
  ['gitaly-ts', ['completion', 'bsh'], 'bash'],
  ['gitaly', ['srve'], 'serve'],
  ['gitaly', ['chek', 'config.toml'], 'check'],
  ['gitaly', ['configuration', 'valdate'], 'validate'],
  ['praefect', ['--config', 'x', 'lst-storages'], 'list-storages'],
  ['praefect', ['configuration', 'valdate'], 'validate'],
  ['gitaly-ssh', ['uplod-pack', 'a', 'b'], 'upload-pack'],
  ['gitaly-backup', ['crete'], 'create'],
];

for (const [program, args, meant] of COMMANDS) {
  test(`${program} ${args.join(' ')} fails and suggests ${meant}`, async () => {
    const { code, stderr } = await run(process.execPath, [...programCommand(program), ...args]);

    assert.notEqual(code, 0);
    assert.match(stderr, new RegExp(`[Dd]id you mean \\\\?"${meant}\\\\?"\\?`));
  });
}

test('a misspelt variable of the environment is named with the right one', async () => {
  assert.deepEqual(
    [...misspeltVariables({ GITALY_UPGRADE_ENABLED: 'true', GITALY_TOKEN: 'x', GITALY_SERVICE_HOST: 'x' })],
    ['unknown environment variable GITALY_UPGRADE_ENABLED; did you mean "GITALY_UPGRADES_ENABLED"?'],
  );
  const args = [...programCommand('gitaly-ts'), 'completion', 'bash'];

  const { stderr } = await run(process.execPath, args, { env: { GITALY_TOKN: 'x' } });

  assert.match(stderr, /unknown environment variable GITALY_TOKN; did you mean "GITALY_TOKEN"\?/);
});
