import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError } from '#platform/config/config-error';
import { loadConfig } from '#platform/config/load-config';
import { validateConfiguration } from './validate-configuration.ts';

/**
 * One recorded run of Gitaly 19.0: `configuration validate` with a document on standard input, and
 * `serve` with the same document.
 */
interface Recording {
  readonly id: string;
  readonly stdin: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly serve?: { readonly exit: number | null; readonly output?: string };
}

const recordings: Recording[] = readFileSync(
  new URL('fixtures/configuration-validate.jsonl', import.meta.url),
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

/** Recordings in which `serve` behaves differently here, with the reason. */
const SERVES_DIFFERENTLY: Readonly<Record<string, string>> = {
  'prometheus-bad': 'Gitaly crashes with a stack trace (exit 2); here it is a refusal like any other',
};

/** Values of the recording's <DIR>, <BIN>, <GIT>, as on the machine where it was made. */
const directory = mkdtempSync(join(tmpdir(), 'gitaly-config-'));
for (const name of ['default', 'second', 'run', 'shell', 'bin']) mkdirSync(join(directory, name));
writeFileSync(join(directory, 'file'), 'a file\n');
writeFileSync(join(directory, 'git'), '#!/bin/sh\n', { mode: 0o755 });
after(() => rmSync(directory, { recursive: true }));

function fill(text: string): string {
  return text
    .replaceAll('<DIR>', directory)
    .replaceAll('<BIN>', join(directory, 'bin'))
    .replaceAll('<GIT>', join(directory, 'git'));
}

for (const { id, stdin, exit, stdout, stderr } of recordings) {
  test(`configuration validate prints the recorded result: ${id}`, async () => {
    const document = fill(stdin);

    const { warnings: _, ...result } = await validateConfiguration(document);

    assert.deepEqual(result, { exitCode: exit, stdout: fill(stdout), stderr: fill(stderr) });
  });
}

for (const { id, stdin, serve } of recordings) {
  const differs = SERVES_DIFFERENTLY[id];
  const outcome = serve?.exit === 1 || differs ? 'does not start' : 'starts';
  test(`a server with that configuration ${outcome}: ${id}`, async () => {
    const path = join(directory, 'c.toml');
    writeFileSync(path, fill(stdin));

    const outcome = await loadConfig(path).then(
      () => undefined,
      (error: unknown) => error,
    );

    if (serve?.exit !== 1 && !differs) {
      assert.equal(outcome, undefined);
      return;
    }
    assert.ok(outcome instanceof ConfigError, `refused, not ${outcome}`);
    const recorded = fill(serve?.output ?? '');
    if (recorded.startsWith('failed to configure'))
      assert.equal(`failed to configure Gitaly: ${outcome.message}\n`, recorded);
    else if (!differs) {
      // Gitaly detected this after its sockets were open; its text of the reason is the same.
      const reason = JSON.parse(/ error=("(?:[^"\\]|\\.)*")/.exec(recorded)?.[1] ?? '""');
      assert.ok(
        outcome.message.endsWith(`invalid config: ${reason}`),
        `${outcome.message}\nends with ${reason}`,
      );
    }
  });
}

test('unknown keys are warnings beside the output, limits of unknown RPCs are problems', async () => {
  const document = fill(
    'socket_path = "<DIR>/s"\nsoket_path = "x"\n[[storage]]\nname = "a"\npath = "<DIR>/default"\n' +
      '[[concurrency]]\nrpc = "FindCommit"\nmax_queue_size = 1\nmax_queue_wait = "1s"\n' +
      '[[rate_limiting]]\nrpc = "FindCommit"\n',
  );
  const without = document
    .replace(/soket.*\n/, '')
    .replaceAll('"FindCommit"', '"/gitaly.CommitService/FindCommit"');

  const { warnings, ...result } = await validateConfiguration(document);
  const { warnings: none, ...other } = await validateConfiguration(without);

  const problem =
    'names no RPC of this server: "FindCommit", did you mean "/gitaly.CommitService/FindCommit"?';
  assert.deepEqual(other, { exitCode: 0, stdout: '', stderr: '' });
  assert.deepEqual(none, []);
  assert.equal(result.exitCode, 2);
  assert.deepEqual(JSON.parse(result.stdout), {
    errors: [{ key: ['concurrency', '[0]', 'rpc'], message: `concurrency[0].rpc ${problem}` }],
  });
  assert.deepEqual(warnings, [
    'unknown configuration key "soket_path", did you mean "socket_path"? (line 2)',
    `rate_limiting[0].rpc ${problem}`,
  ]);
});

// Nothing was printed: only the log of the server named them.
test('keys without effect are warnings, which do not change output and exit code', async () => {
  const document = fill(
    'socket_path = "<DIR>/s"\nbin_dir = "<BIN>"\n[[storage]]\nname = "a"\npath = "<DIR>/default"\n' +
      '[transactions]\nenabled = true\n[offloading]\nenabled = true\ngo_cloud_url = "mem://"\n',
  );

  const { warnings = [], ...result } = await validateConfiguration(document);

  assert.deepEqual(result, { exitCode: 0, stdout: '', stderr: '' });
  const named = warnings.map((line) => line.replace(/ has no effect: .*(?= \(line)/, ''));
  assert.deepEqual(named.sort(), [
    'configuration key "bin_dir" (line 2)',
    'configuration key "offloading.enabled" (line 9)',
    'configuration key "transactions.enabled" (line 7)',
  ]);
});

test('Raft needs transactions, the id of a cluster and a directory, as in Gitaly', async () => {
  const head = fill('socket_path = "<DIR>/s"\n[[storage]]\nname = "a"\npath = "<DIR>/default"\n');
  const problemsOf = async (text: string): Promise<unknown> =>
    JSON.parse((await validateConfiguration(head + fill(text))).stdout).errors;

  assert.deepEqual(await problemsOf('[raft]\nenabled = true\nsnapshot_dir = "<DIR>"\n'), [
    { key: ['raft', 'enabled'], message: 'transactions must be enabled to enable Raft' },
    { key: ['raft', 'cluster_id'], message: 'not set' },
  ]);
  const withId = '[transactions]\nenabled = true\n[raft]\nenabled = true\ncluster_id = "abc"\n';
  assert.deepEqual(await problemsOf(`${withId}snapshot_dir = "${directory}"\n`), [
    {
      key: ['raft', 'cluster_id'],
      message: 'invalid UUID format for ClusterID: invalid UUID length: 3',
    },
  ]);
});

// Both were accepted: each backup failed, and git ran without the limits.
test('unknown buckets and missing mount points of limits are problems, also for the start', async () => {
  const head = `socket_path = "${directory}/s"\n[[storage]]\nname = "a"\npath = "${directory}/default"\n`;
  const groups = (mountpoint: string, count: number): string =>
    `[cgroups]\nmountpoint = "${mountpoint}"\nmemory_bytes = 1\n[cgroups.repositories]\ncount = ${count}\n`;
  const scheme = 'unsupported sink URI scheme: "s4", expected file, mem, s3, gs or azblob';
  const cases: readonly (readonly [string, { key: string[]; message: string } | undefined])[] = [
    ['[backup]\ngo_cloud_url = "s4://bucket"\n', { key: ['backup', 'go_cloud_url'], message: scheme }],
    [
      '[bundle_uri]\ngo_cloud_url = "S4://bucket"\n',
      { key: ['bundle_uri', 'go_cloud_url'], message: scheme },
    ],
    ['[bundle_uri]\ngo_cloud_url = "S3://bucket"\n', undefined],
    ['[backup]\ngo_cloud_url = "/backups"\n', undefined],
    [
      groups(join(directory, 'none'), 1),
      { key: ['cgroups', 'mountpoint'], message: `doesn't exist: "${directory}/none"` },
    ],
    [
      groups(join(directory, 'second'), 1),
      { key: ['cgroups', 'mountpoint'], message: `no control groups: "${directory}/second"` },
    ],
    [groups(join(directory, 'none'), 0), undefined],
  ];
  for (const [table, error] of cases) {
    const path = join(directory, 'both.toml');
    writeFileSync(path, head + table);

    const { exitCode, stdout } = await validateConfiguration(head + table);
    const start = await loadConfig(path).then(
      () => '',
      (reason: unknown) => String(reason),
    );

    assert.equal(exitCode, error === undefined ? 0 : 2, table);
    if (error === undefined) assert.deepEqual([stdout, start], ['', ''], table);
    else {
      assert.deepEqual(JSON.parse(stdout), { errors: [error] });
      assert.ok(start.endsWith(error.message), start);
    }
  }
});
