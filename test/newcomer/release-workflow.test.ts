import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from './registry.ts';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}
interface Job {
  readonly needs?: string | readonly string[];
  readonly permissions?: Readonly<Record<string, string>>;
  readonly 'runs-on'?: string;
  readonly 'timeout-minutes'?: number;
  readonly steps: readonly Step[];
}

const text = readFileSync(join(ROOT, '.github/workflows/release.yml'), 'utf8');
const workflow: { jobs: Readonly<Record<string, Job>>; permissions: unknown; on: unknown } = parse(text, {
  strict: true,
});
const jobs = new Map(Object.entries(workflow.jobs));
const commandsOf = (job: string): string =>
  (jobs.get(job)?.steps ?? []).map(({ run }) => run ?? '').join('\n');
const neededBy = ({ needs = [] }: Job): readonly string[] => (typeof needs === 'string' ? [needs] : needs);

test('every job of the release workflow is complete', () => {
  for (const [name, job] of jobs) {
    assert.ok(job['runs-on'], name);
    assert.ok(job['timeout-minutes'], name);
    assert.ok(job.permissions, name);
    for (const needed of neededBy(job)) assert.ok(jobs.has(needed), `${name} needs ${needed}`);
    for (const step of job.steps) {
      assert.equal(
        Number(step.uses === undefined) + Number(step.run === undefined),
        1,
        `${name}: run or uses`,
      );
      assert.match(step.uses ?? 'a/b@v1', /^[\w-]+\/[\w-]+@v\d+$/);
    }
  }
});

test('nothing is published before the tests have passed, and only with the permissions it needs', () => {
  assert.deepEqual(workflow.on, { push: { tags: ['v*'] } });
  assert.deepEqual(workflow.permissions, {});
  assert.match(commandsOf('test'), /^\.ci\/run$/m);
  for (const [name, job] of jobs) if (name !== 'test') assert.ok(neededBy(job).includes('test'), name);
  assert.deepEqual(jobs.get('publish')?.needs, ['test', 'archives', 'image']);
  assert.deepEqual(jobs.get('publish')?.permissions, { contents: 'write', 'id-token': 'write' });
  assert.deepEqual(jobs.get('image')?.permissions, { contents: 'read', packages: 'write' });
  // No secret is kept: npm trusts the workflow, and the token of the run is GitHub's.
  assert.doesNotMatch(text, /secrets\./);
});

test('the workflow publishes packages, image, archive and Debian package', () => {
  assert.match(commandsOf('publish'), /npm publish .*--provenance --access public/);
  assert.match(commandsOf('publish'), /gh release create/);
  assert.match(commandsOf('archives'), /^make deb/m);
  const image = jobs.get('image')?.steps.find(({ uses }) => uses?.startsWith('docker/build-push-action@'));
  assert.ok(existsSync(join(ROOT, String(image?.with?.file))));
  assert.equal(image?.with?.push, true);
});

test('targets of make in the workflows exist', () => {
  const makefile = readFileSync(join(ROOT, 'Makefile'), 'utf8');
  for (const path of globSync('.github/workflows/*.yml', { cwd: ROOT }))
    for (const [, target = ''] of readFileSync(join(ROOT, path), 'utf8').matchAll(/\bmake ([a-z-]+)/g))
      assert.match(makefile, new RegExp(`^${target}:`, 'm'), `${path}: make ${target}`);
});
