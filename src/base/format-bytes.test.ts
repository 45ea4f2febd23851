import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatShortBytes } from './format-bytes.ts';

for (const [bytes, text] of [
  [0, '0 bytes'],
  [1, '1 byte'],
  [1023, '1023 bytes'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [1024 ** 2 - 1, '1.0 MiB'],
  [1024 ** 3, '1.0 GiB'],
  [5 * 1024 ** 4, '5.0 TiB'],
  [5000 * 1024 ** 4, '5000.0 TiB'],
] as const)
  test(`${bytes} bytes are shown as ${text}`, () => {
    assert.equal(formatBytes(bytes), text);
  });

for (const [bytes, text] of [
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [12 << 20, '12 MiB'],
  [1024 ** 2 - 1, '1.0 MiB'],
  [3 * 2 ** 40, '3.0 TiB'],
  [900 / 7, '129 B'],
] as const)
  test(`${bytes} bytes are ${text} in short`, () => {
    assert.equal(formatShortBytes(bytes), text);
  });
