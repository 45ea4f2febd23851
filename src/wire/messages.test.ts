import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserMergeBranchErrorSchema } from '#wire/gen/operations_pb';
import { gitalyFiles } from './files.ts';

/** Files with options that describe the interface itself. */
const NOT_FOR_CLIENTS = new Set(['lint', 'versions']);

test('a package that uses the client can import every message, enum and service by name', async () => {
  const exported: Readonly<Record<string, unknown>> = await import('gitaly-ts/messages');

  for (const file of gitalyFiles.filter(({ name }) => !NOT_FOR_CLIENTS.has(name))) {
    for (const { name } of file.messages) assert.ok(exported[`${name}Schema`], name);
    for (const { name } of [...file.enums, ...file.services]) assert.ok(exported[name], name);
  }
  assert.equal(exported.UserMergeBranchErrorSchema, UserMergeBranchErrorSchema);
});
