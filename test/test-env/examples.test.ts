import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { goProgram } from '#testkit/go-program';
import { pythonWithGrpc } from '#testkit/python-with-grpc';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLES = join(ROOT, 'examples/test-env');
/** The imported files of the protocol. */
const PROTOS = ['repository', 'repository-service', 'errors', 'lint', 'shared', 'versions'];
// Before the first test: while these wait, the runner would take the tests so far for all.
const program = await goProgram(join(EXAMPLES, 'go'));
const python = await pythonWithGrpc();
const directory = makeScratchDirectory('env-examples');
after(() => rmSync(directory, { recursive: true, force: true }));

test('a shell script imports and clones', async () => {
  const PATH = `${join(ROOT, 'bin')}:${process.env.PATH ?? ''}`;

  const { code, stdout, stderr } = await run('sh', [join(EXAMPLES, 'shell/example.sh')], { env: { PATH } });

  assert.deepEqual([code, stdout], [0, 'first\n'], stderr);
});

test("Gitaly's client for Go", { skip: program === undefined && 'Go is not installed' }, async () => {
  await using gitaly = await startGitaly({ token: 'a token', tcp: true });

  const { code, stdout, stderr } = await run(program ?? '', [gitaly.addresses.tcp ?? '', 'a token']);

  assert.deepEqual([code, stdout], [0, 'exists: true\n'], stderr);
});

test('grpcio for Python', { skip: python === undefined && 'grpcio cannot be installed' }, async () => {
  await using gitaly = await startGitaly({ token: 'a token', tcp: true });
  const protos = PROTOS.map((name) => join(ROOT, `proto/${name}.proto`));
  const out = [`--python_out=${directory}`, `--grpc_python_out=${directory}`];
  const generated = await run(python ?? '', [
    '-m',
    'grpc_tools.protoc',
    '-I',
    join(ROOT, 'proto'),
    ...out,
    ...protos,
  ]);
  assert.equal(generated.code, 0, generated.stderr);

  const example = join(EXAMPLES, 'python/example.py');
  const { code, stdout, stderr } = await run(python ?? '', [example, gitaly.addresses.tcp ?? '', 'a token'], {
    env: { PYTHONPATH: directory },
  });

  assert.deepEqual([code, stdout], [0, 'exists: True\n'], stderr);
});
