import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { LoggedGeneration } from '#archive/log';
import {
  ListGenerationsRequestSchema,
  RestoreRequestSchema,
} from '#wire/gen/gitalyts/archives/v1/archives_pb';
import { type ArchiveDependencies, archiveCalls } from './index.ts';

const { signal } = new AbortController();
const storage = { storageName: 'default' };

/** Returns the calls of an archive that logs one generation of each kind, and restores nothing. */
function callsWith(kinds: readonly LoggedGeneration['kind'][]) {
  const none = async function* () {};
  const dependencies: ArchiveDependencies = {
    storages: { storage: (name) => ({ name, path: '/' }) },
    archive: {
      status: () => [],
      prune: async () => {},
      repositories: none,
      restore: async () => '',
      restoreStorage: none,
      verify: none,
      async *log() {
        for (const [generation, kind] of kinds.entries())
          yield { id: 'id', generation, timeMs: 0, kind, references: 0, settings: [] };
      },
    },
  };
  return archiveCalls(dependencies);
}

test('what changes no repository is not among its states', async () => {
  const kinds = ['create', 'takeover', 'write', 'maintenance', 'doomed', 'removed', 'erased'] as const;
  const request = create(ListGenerationsRequestSchema, { ...storage, relativePath: 'a.git' });

  const pages = await Array.fromAsync(callsWith(kinds).listGenerations(request, signal));

  const shown = pages.flatMap(({ generations = [] }) => generations.map(({ kind }) => kind));
  assert.deepEqual(shown, ['create', 'write', 'removed']);
});

test('what is of one repository needs its path', async () => {
  const restore = async (fields: object): Promise<unknown> =>
    await Array.fromAsync(
      callsWith([]).restore(create(RestoreRequestSchema, { ...storage, ...fields }), signal),
    );

  for (const fields of [
    { replace: true },
    { toRelativePath: 'b.git' },
    { at: { case: 'generation', value: 3n } },
  ])
    await assert.rejects(restore(fields), { code: 'INVALID_ARGUMENT', message: /^relative_path is empty/ });
  assert.deepEqual(await restore({}), []);
});
