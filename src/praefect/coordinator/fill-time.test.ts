import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type DescMessage, toJson } from '@bufbuild/protobuf';
import { gitalyServices, methodByPath } from '#wire/methods';
import { fillTime } from './fill-time.ts';

/** Returns the values of a first message that leaves everything open. */
function openRequest(input: DescMessage): Record<string, unknown> {
  const header = input.fields.find(({ localName }) => localName === 'header');
  if (header?.message === undefined) return {};
  const value = create(header.message);
  return header.oneof === undefined
    ? { header: value }
    : { [header.oneof.localName]: { case: 'header', value } };
}

test('all methods that make commits and tags get a time, except those of clients that set one', () => {
  const filled: string[] = [];
  for (const service of gitalyServices)
    for (const { name } of service.methods) {
      const method = methodByPath(`/${service.typeName}/${name}`);
      if (method?.operation !== 'mutator') continue;
      const request = create(method.input, openRequest(method.input));
      fillTime(method, request);
      const json = JSON.stringify(toJson(method.input, request));
      if (json.includes('"timestamp"')) filled.push(name);
      fillTime(method, request);
      assert.equal(JSON.stringify(toJson(method.input, request)), json);
    }

  assert.deepEqual(filled.sort(), [
    'ResolveConflicts',
    'UserApplyPatch',
    'UserCherryPick',
    'UserCommitFiles',
    'UserCreateTag',
    'UserMergeBranch',
    'UserMergeToRef',
    'UserRebaseConfirmable',
    'UserRebaseToRef',
    'UserRevert',
    'UserSquash',
    'UserUpdateSubmodule',
  ]);
});
