import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startInternalApi } from '#testkit/servers/internal-api';
import type { Finding } from '#tools/doctor/finding';
import { clockFinding } from '#tools/doctor/run-doctor';

const PROGRAM = programCommand('gitaly');

interface CheckOutput {
  readonly gitlab: { readonly ok: boolean };
  readonly errors: number;
  readonly findings: readonly Finding[];
}

async function check(lines: string, ...options: string[]): Promise<RunResult> {
  const directory = mkdtempSync(join(tmpdir(), 'gitaly-check-'));
  try {
    mkdirSync(join(directory, 'storage'));
    const config = join(directory, 'config.toml');
    const base =
      `socket_path = "${directory}/s"\n[[storage]]\nname = "default"\n` + `path = "${directory}/storage"\n`;
    writeFileSync(config, base + lines);
    return await run(process.execPath, [...PROGRAM, 'check', config, ...options]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('gitaly check prints the details of GitLab', async () => {
  await using api = await startInternalApi();

  const { code, stdout } = await check(`[gitlab]\nurl = "${api.url}"\nsecret = "${api.secret}"\n`);

  assert.equal(code, 0, stdout);
  assert.deepEqual(stdout.split('\n').slice(0, 7), [
    'Checking GitLab API access: OK',
    'GitLab version: 19.0.0',
    'GitLab revision: abc',
    'GitLab Api version: v4',
    'Redis reachable for GitLab: true',
    'OK',
    '',
  ]);
});

test('gitaly check names a configuration that it cannot load, as Gitaly does', async () => {
  const { code, stdout, stderr } = await run(process.execPath, [...PROGRAM, 'check', 'no-such-file']);

  assert.deepEqual([code, stdout], [1, '']);
  const [line] = stderr.split('\n');
  assert.match(
    line ?? '',
    /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d loading configuration "no-such-file": open no-such-file: no such file or directory$/,
  );
});

test('gitaly check fails when GitLab fails, and prints the reason', async () => {
  await using api = await startInternalApi();
  api.reset({ '/check': [500, { message: 'database is down' }] });

  const { code, stdout, stderr } = await check(`[gitlab]\nurl = "${api.url}"\nsecret = "${api.secret}"\n`);

  assert.equal(code, 1);
  assert.match(stdout, /^Checking GitLab API access: FAILED\n\n/);
  // A line of the log, and the reason as Go's log package writes it.
  const [line, reason] = stderr.split('\n');
  assert.match(
    line ?? '',
    /^time="\S+" level=error msg="Internal API error" .* error="database is down" method=GET .* status=500 url="http/,
  );
  assert.match(
    reason ?? '',
    /^\d{4}(\/\d\d){2} [\d:]{8} HTTP GET to GitLab endpoint \/check failed: database is down$/,
  );
});

test('gitaly check prints the missing setting when no GitLab is configured', async () => {
  const { code, stderr } = await check('');

  assert.equal(code, 1);
  assert.match(stderr, /set url in \[gitlab\]/);
});

test('gitaly check --json has the findings of all parts, with a fix for each problem', async (t) => {
  await using api = await startInternalApi();
  const hooks = makeScratchDirectory('hooks');
  t.after(() => rmSync(hooks, { recursive: true }));
  mkdirSync(join(hooks, 'groups/memory'), { recursive: true });
  writeFileSync(join(hooks, 'groups/memory/gitaly'), 'in the way of the group');
  mkdirSync(join(hooks, 'update.d'));
  writeFileSync(join(hooks, 'update.d/good'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(hooks, 'update.d/plain'), '#!/bin/sh\n', { mode: 0o644 });
  const lines =
    `[gitlab]\nurl = "${api.url}"\nsecret = "${api.secret}"\n[hooks]\ncustom_hooks_dir = "${hooks}"\n` +
    `[backup]\ngo_cloud_url = "mem://"\n` +
    `[cgroups]\nmountpoint = "${hooks}/groups"\nmemory_bytes = 1\n[cgroups.repositories]\ncount = 1\n`;

  const { code, stdout } = await check(lines, '--json');

  const { gitlab, errors, findings } = JSON.parse(stdout) as CheckOutput;
  assert.deepEqual([code, errors, gitlab.ok], [1, 1, true]);
  const found = (subject: string) => findings.filter((finding) => finding.subject === subject);
  assert.deepEqual(found('hooks'), [
    {
      subject: 'hooks',
      level: 'warning',
      message: `not executable, so not run: ${hooks}/update.d/plain`,
      fix: `If they are hooks: chmod +x ${hooks}/update.d/plain`,
    },
    { subject: 'hooks', level: 'ok', message: `${hooks}: 1 of update` },
  ]);
  assert.match(found('cgroups')[0]?.message ?? '', /^failed setting up cgroups: failed creating parent/);
  assert.match(found('bucket of [backup]')[0]?.message ?? '', /^an object was written, read, listed/);
  assert.equal(found('clock')[0]?.message, "agrees with GitLab's");
  for (const subject of ['node', 'git', 'storage default', 'socket_path', 'round trip'])
    assert.ok(found(subject).length > 0, subject);
  for (const { level, fix } of findings) assert.equal(fix === undefined, level === 'ok');
});

for (const { differenceMs, level } of [
  { differenceMs: -1000, level: 'ok' },
  { differenceMs: 7000, level: 'warning' },
  { differenceMs: -90_000, level: 'error' },
]) {
  test(`a clock that differs by ${differenceMs} ms from GitLab's: ${level}`, () => {
    assert.equal(clockFinding(differenceMs)?.level, level);
  });
}

test('gitaly check without a file is wrong usage', async () => {
  const { code, stdout, stderr } = await run(process.execPath, [...PROGRAM, 'check']);

  assert.deepEqual([code, stderr], [2, 'error: invalid argument(s)\n']);
  assert.match(stdout, /^Usage: gitaly check /);
});
