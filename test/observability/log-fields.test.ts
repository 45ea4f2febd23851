import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, suite, test } from 'node:test';
import { makeCalls, startObserved } from './scripted-calls.ts';

/** Fields of a recorded line, by method: name → type. */
const RECORDED = new Map<string, Map<string, string>>();
for (const line of readFileSync(new URL('log-fields.tsv', import.meta.url), 'utf8').split('\n')) {
  const [method = '', field = '', type = ''] = line.split('\t');
  if (line === '' || line.startsWith('#')) continue;
  const fields = RECORDED.get(method) ?? new Map<string, string>();
  RECORDED.set(method, fields.set(field, type));
}

/** Recorded fields that a line may lack, by pattern, with the reason. */
const MISSING: readonly (readonly [RegExp, string])[] = [
  [/^FindAllBranches catfile\./, 'its commit is in memory'],
  [/^\w+ limit\./, 'of a server with a limit for the call'],
  [/ repository_stats$/, "a statistic of Gitaly's load shedder; this one needs none"],
  [
    /^InfoRefsUploadPack (stream_path|service)$/,
    "names a file of the cache and git's program; of no use here",
  ],
  [/^FindAllBranches error(_metadata)?$/, 'of a call on a broken repository, see error fields below'],
  [/^UserCreateBranch diskcache$/, 'the id of a new generation is made at the next read'],
  [/^UserCreateBranch error$/, 'of a call with a start point that does not exist'],
  [
    /^(FindAllBranches|FindAllTags|UserCreateBranch|InfoRefsUploadPack) command\./,
    'answered without a process',
  ],
  [/^FindCommit command\.spawn_token_fork_ms$/, 'on lines with processes only'],
  [
    /^OptimizeRepository (stale_data\.|repository_info)/,
    'on lines of their own: removed files, repository info',
  ],
];

/** Fields that Gitaly 19.0 does not write on these lines, with the reason. */
const ADDED: readonly (readonly [RegExp, string])[] = [
  [/^peer\.address$/, 'of 15.0, kept'],
  [/^grpc\.meta\.auth_version$/, 'the recorded calls had no token'],
  [/^command\.maxrss$/, 'name of 15.0 and 16.7'],
  [/^catfile\.(read|request)_info_/, 'own lookups of types and sizes'],
  [/^error(_metadata)?$/, 'of the refused calls'],
];

const typeOf = (value: unknown): string => {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  return typeof value === 'string' ? 'str' : 'dict';
};

suite('the log lines of finished calls', () => {
  const lines = new Map<string, Record<string, unknown>[]>();
  before(async () => {
    await using gitaly = await startObserved();
    await makeCalls(gitaly);
    for (const line of gitaly.log) {
      if (line['grpc.code'] === undefined) continue;
      const method = String(line['grpc.method']);
      lines.set(method, [...(lines.get(method) ?? []), line]);
    }
  });

  for (const [method, recorded] of RECORDED) {
    test(`${method} logs the fields of Gitaly 19.0 with their types`, () => {
      const fields = new Map((lines.get(method) ?? []).flatMap((line) => Object.entries(line)));
      const differences: string[] = [];
      for (const [field, type] of recorded) {
        const isExcepted = MISSING.some(([pattern]) => pattern.test(`${method} ${field}`));
        if (!fields.has(field) && !isExcepted) differences.push(`${field} is missing`);
        const own = fields.has(field) ? typeOf(fields.get(field)) : type;
        // A duration of whole milliseconds is written without a fraction.
        if (own !== type && !(type === 'float' && own === 'int'))
          differences.push(`${field}: ${own}, not ${type}`);
      }
      for (const field of fields.keys()) {
        if (!recorded.has(field) && !ADDED.some(([pattern]) => pattern.test(field)))
          differences.push(`${field} is not recorded`);
      }

      assert.deepEqual(differences, []);
    });
  }

  test('every exception still excuses a difference', () => {
    const used = new Set<RegExp>();
    for (const [method, recorded] of RECORDED) {
      const own = new Set((lines.get(method) ?? []).flatMap((line) => Object.keys(line)));
      const note = (exceptions: typeof MISSING, field: string): void => {
        for (const [pattern] of exceptions) if (pattern.test(field)) used.add(pattern);
      };
      for (const field of recorded.keys()) if (!own.has(field)) note(MISSING, `${method} ${field}`);
      for (const field of own) if (!recorded.has(field)) note(ADDED, field);
    }

    const stale = [...MISSING, ...ADDED].filter(([pattern]) => !used.has(pattern));

    assert.deepEqual(stale, []);
  });

  test('fields have the values of their call', () => {
    const [found, refused, missing] = lines.get('FindCommit') ?? [];

    assert.equal(found?.msg, 'finished unary call with code OK');
    assert.equal(found?.level, 'info');
    assert.equal(found?.correlation_id, 'cid-1');
    assert.equal(found?.['grpc.meta.client_name'], 'gitlab-web');
    assert.equal(found?.['grpc.meta.call_site'], 'test');
    assert.equal(found?.['grpc.meta.auth_version'], 'v2');
    assert.equal(found?.['grpc.meta.method_type'], 'unary');
    assert.equal(found?.['grpc.meta.method_operation'], 'accessor');
    assert.equal(found?.['grpc.meta.method_scope'], 'repository');
    assert.equal(found?.['grpc.request.fullMethod'], '/gitaly.CommitService/FindCommit');
    assert.equal(found?.['grpc.request.repoStorage'], 'default');
    assert.equal(found?.['grpc.request.repoPath'], 'ref-write.git');
    assert.equal(found?.['grpc.request.glRepository'], 'project-1');
    assert.equal(found?.['grpc.request.glProjectPath'], 'g/p');
    assert.equal(found?.remote_ip, '127.0.0.1');
    assert.equal(found?.user_id, 'user-1');
    assert.equal(found?.username, 'u');
    assert.ok(Number(found?.['grpc.request.payload_bytes']) > 0);
    assert.ok(Number(found?.['grpc.response.payload_bytes']) > 0);
    assert.equal(found?.['catfile.request_object_count'], 1);
    assert.equal(found?.['catfile.read_object_count'], 1);
    assert.equal(found?.['catfile.request_info_count'], undefined, 'only of lookups that were made');
    assert.equal(found?.error, undefined);
    assert.equal(refused?.['grpc.code'], 'InvalidArgument');
    assert.equal(refused?.error, "revision can't start with '-'");
    assert.equal(missing?.['grpc.code'], 'NotFound');
    assert.deepEqual(missing?.error_metadata, { relative_path: 'none.git', storage_name: 'default' });
  });
});
