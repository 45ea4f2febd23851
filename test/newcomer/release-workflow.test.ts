import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from './registry.ts';

test('the release workflow tests, makes the packages, and publishes them with a proof of origin', () => {
  const { jobs, permissions } = parse(readFileSync(join(ROOT, '.github/workflows/release.yml'), 'utf8'));
  const steps: readonly { run?: string }[] = jobs.publish.steps;
  const commands = steps.flatMap(({ run }) => run ?? []);

  assert.deepEqual(permissions, {});
  assert.equal(jobs.publish.permissions['id-token'], 'write');
  const order = ['.ci/run', 'make archive', '--provenance'];
  const places = order.map((part) => commands.findIndex((command) => command.includes(part)));
  assert.ok(
    places.every((place, index) => place > (places[index - 1] ?? 0)),
    `${commands}`,
  );
});
