import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { archiveCalls } from '#services/archives/index';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { until } from '#testkit/until';
import { ListGenerationsRequestSchema } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import { answerForArchives, remoteArchives } from './remote-archives.ts';

const PAGES = 100;
const GENERATIONS = 100 * PAGES;
const TURNS = 100;
const REQUEST = create(ListGenerationsRequestSchema, { storageName: 'default', relativePath: 'a.git' });

/** A worker whose supervisor has an archive with many generations. */
function start({ failsAt = GENERATIONS }: { readonly failsAt?: number } = {}) {
  const none = async function* () {};
  const log = { read: 0, hasEnded: false };
  const calls = archiveCalls({
    storages: { storage: (name) => ({ name, path: '/' }) },
    archive: {
      status: () => [],
      prune: async () => {},
      repositories: none,
      restore: async () => '',
      restoreStorage: none,
      verify: none,
      async *log() {
        try {
          for (let generation = 0; generation < GENERATIONS; generation++) {
            if (generation === failsAt) throw new Error('the bucket is away');
            log.read++;
            yield { id: 'id', generation, timeMs: 0, kind: 'write', references: 0, settings: [] };
          }
        } finally {
          log.hasEnded = true;
        }
      },
    },
  });
  const family = new LinkedFamily();
  answerForArchives(family.supervisor.desk, calls);
  const worker = family.start();
  return { log, worker, remote: remoteArchives(worker.link) };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
}

// Symptom: all responses were in the worker's memory before its client had read the second one.
test('a client that reads slowly has the supervisor wait', async () => {
  const { log, remote } = start();
  const { signal } = new AbortController();
  const pages = remote.listGenerations(REQUEST, signal)[Symbol.asyncIterator]();

  await pages.next();
  await turns();
  assert.ok(log.read <= GENERATIONS / 10, `${log.read} generations were read`);
  await pages.return?.();
  await until(() => log.hasEnded);

  assert.equal((await Array.fromAsync(remote.listGenerations(REQUEST, signal))).length, PAGES);
});

test('a call ends with its client, its worker and its error', async () => {
  const aborted = start();
  const stopping = new AbortController();
  const pages = aborted.remote.listGenerations(REQUEST, stopping.signal)[Symbol.asyncIterator]();
  await pages.next();
  stopping.abort();
  await assert.rejects(pages.next(), { name: 'AbortError' });
  await until(() => aborted.log.hasEnded);

  const ended = start();
  const left = ended.remote.listGenerations(REQUEST, new AbortController().signal)[Symbol.asyncIterator]();
  await left.next();
  ended.worker.end();
  await assert.rejects(left.next(), { name: 'LinkClosedError' });
  await until(() => ended.log.hasEnded);

  const failing = start({ failsAt: 250 });
  const all = failing.remote.listGenerations(REQUEST, new AbortController().signal);
  await assert.rejects(Array.fromAsync(all), /the bucket is away/);
});
