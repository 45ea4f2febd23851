// Own process: it measures the garbage of a server

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit } from '#testkit/repositories/init-repository';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import type { Promotion } from './promotion-monitor.ts';

const CLIENTS = 16;
/** Calls of each client until the server's code is compiled and its young generation has its size. */
const WARM_UP_CALLS = 1800;
const CALLS = 150;

/**
 * Symptom: V8 put parts of a call's state into the old generation after a busy start, and what they
 * refer to survived until the next collection of the whole heap. That took a quarter of the CPU
 * time of a call.
 */
test('calls that have ended are collected with the young generation', async (t) => {
  await using gitaly = await startGitalyProcess({
    preload: join(import.meta.dirname, 'promotion-monitor.ts'),
  });
  const connection = await gitaly.connect();
  const repository = { storageName: 'default', relativePath: 'a.git' };
  await connection.repository.createRepository({ repository });
  addCommit(join(gitaly.directory, 'default', repository.relativePath), 1);
  const callOften = async (calls: number): Promise<void> => {
    const client = async (): Promise<void> => {
      for (let i = 0; i < calls; i++)
        await connection.commit.findCommit({ repository, revision: Buffer.from('main') });
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  };
  await callOften(WARM_UP_CALLS);
  await gitaly.ask({});

  await callOften(CALLS);
  const promotion = (await gitaly.ask({})) as Promotion;

  t.diagnostic(JSON.stringify(promotion));
  assert.ok(promotion.collections > 5, `only ${promotion.collections} collections`);
  const share = promotion.promotedBytes / promotion.youngBytes;
  assert.ok(share < 0.03, `${(100 * share).toFixed(1)} % of the young generation became old`);
});

/**
 * Symptom: each call of a list took 64 KiB or more outside the heap to encode its messages. V8
 * counts that, and collected the whole heap every hundred calls.
 */
test('calls that list much do not make V8 collect the whole heap', async (t) => {
  await using gitaly = await startGitalyProcess({
    preload: join(import.meta.dirname, 'promotion-monitor.ts'),
  });
  const connection = await gitaly.connect();
  const repository = { storageName: 'default', relativePath: 'a.git' };
  await connection.repository.createRepository({ repository });
  const path = join(gitaly.directory, 'default', repository.relativePath);
  const oid = Array.from({ length: 10 }, (_, index) => addCommit(path, index + 1));
  const callOften = async (calls: number): Promise<void> => {
    for (let made = 0; made < calls; made++)
      await Array.fromAsync(connection.commit.listCommitsByOid({ repository, oid }));
  };
  await callOften(500);
  await gitaly.ask({});

  await callOften(1500);
  const promotion = (await gitaly.ask({})) as Promotion;

  t.diagnostic(JSON.stringify(promotion));
  assert.ok(promotion.wholeCollections <= 3, `${promotion.wholeCollections} collections of the whole heap`);
});
