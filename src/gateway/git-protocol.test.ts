import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitProtocol } from './git-protocol.ts';

test('the highest version of the header is used, and other keys are ignored', () => {
  assert.equal(gitProtocol(undefined), '');
  assert.equal(gitProtocol('version=2'), 'version=2');
  assert.equal(gitProtocol('version=1:version=2'), 'version=2');
  assert.equal(gitProtocol('object-format=sha256:version=1'), 'version=1');
  assert.equal(gitProtocol(['version=1']), 'version=1');
  assert.equal(gitProtocol('version=22'), '');
});
