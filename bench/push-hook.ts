import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Connection, dial, postReceivePack } from '#client/index';
import { pushBody, ZERO_OID } from '#testkit/repositories/push';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import { sink } from './lib/sink.ts';

/**
 * Our server's git settings; by default git does not flush references to the disk before it
 * returns.
 */
const SERVER_FSYNC = ['core.fsync=objects,derived-metadata,reference', 'core.fsyncMethod=fsync'];
const HOOK = '#!/bin/sh\nwhile read -r old new name; do :; done\n';

/** Measures the server's part of a push with a hook. */
export const bench: Bench = {
  name: 'push-hook',
  question:
    'PostReceivePack of one reference with a custom pre-receive hook, against git receive-pack with ' +
    'the same hook',
  async *run(workshop) {
    const served = await workshop.repository('small', 'served.git');
    const plain = await workshop.repository('small', 'plain.git');
    const durable = await workshop.repository('small', 'durable.git');
    for (const setting of SERVER_FSYNC) await git(durable.path, ['config', ...setting.split('=')]);
    script(join(served.path, 'custom_hooks/pre-receive'));
    for (const { path } of [plain, durable]) script(join(path, 'hooks/pre-receive'));
    await using connection = await dial(`unix:${(await workshop.server()).socket}`);
    const oid = await git(plain.path, ['rev-parse', 'main']);
    let number = 0;
    const body = (): Buffer => pushBody([`${ZERO_OID} ${oid} refs/heads/pushed-${number++}`]);
    const candidates = {
      rpc: () => timed(() => push(connection, served, body())),
      plain: () => timed(() => receivePack(plain, body())),
      durable: () => timed(() => receivePack(durable, body())),
    };
    await takeTurns(3, candidates);
    const samples = await takeTurns(workshop.quick ? 15 : 60, candidates);
    const value = median(samples.rpc);
    const goal = { of: 'ratio', atMost: 1.3 } as const;
    const reference = { name: 'git receive-pack', value: median(samples.plain) };
    yield { name: 'push with a pre-receive hook', value, unit: 'ms', reference, goal };
    const equally = { name: "receive-pack with the server's core.fsync", value: median(samples.durable) };
    yield { name: 'push with a pre-receive hook, equally durable', value, unit: 'ms', reference: equally };
  },
};

function script(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, HOOK);
  chmodSync(path, 0o755);
}

async function push(connection: Connection, { wire }: StoredRepository, body: Buffer): Promise<void> {
  const request = { repository: wire, glId: 'user-1', glUsername: 'bench', glRepository: wire.glRepository };
  await postReceivePack(connection, { stdin: once(body), stdout: sink() }, request);
}

async function receivePack({ path }: StoredRepository, body: Buffer): Promise<void> {
  await runProgram('git', ['receive-pack', '--stateless-rpc', path], { input: once(body) });
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
