import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const PROTO = new URL('../../proto/', import.meta.url);
const files = readdirSync(PROTO, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.proto'),
);

test('every file, service, method and message in proto/ has a comment', () => {
  const bare: string[] = [];
  const counts = { service: 0, rpc: 0, message: 0 };
  for (const file of files) {
    const lines = readFileSync(new URL(file, PROTO), 'utf8').split('\n');
    if (!lines[0]?.startsWith('// ')) bare.push(file);
    for (const [index, line] of lines.entries()) {
      const [, keyword, name] = /^\s*(service|rpc|message) (\w+)/.exec(line) ?? [];
      if (keyword !== 'service' && keyword !== 'rpc' && keyword !== 'message') continue;
      counts[keyword]++;
      if (!lines[index - 1]?.trimStart().startsWith('//')) bare.push(`${file}: ${keyword} ${name}`);
    }
  }

  assert.deepEqual(bare, []);
  assert.ok(counts.service >= 23 && counts.rpc >= 197 && counts.message >= 558, JSON.stringify(counts));
});
