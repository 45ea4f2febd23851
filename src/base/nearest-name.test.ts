import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from './nearest-name.ts';

const KEYS = ['socket_path', 'listen_addr', 'tls_listen_addr', 'runtime_dir', 'bin_dir', 'tls', 'git'];

for (const [typed, meant] of [
  ['socket_pth', 'socket_path'],
  ['soket_path', 'socket_path'],
  ['listen_adress', 'listen_addr'],
  ['Listen_Addr', 'listen_addr'],
  ['runtimedir', 'runtime_dir'],
  ['tsl', 'tls'],
  ['gti', 'git'],
  ['g', 'git'],
] as const) {
  test(`the name nearest to ${typed} is ${meant}`, () => {
    assert.equal(nearestName(typed, KEYS), meant);
  });
}

test('a name that is unlike all known names has no nearest name', () => {
  assert.equal(nearestName('nonsense', KEYS), undefined);
  assert.equal(nearestName('', KEYS), undefined);
  assert.equal(nearestName('ab', KEYS), undefined);
});
