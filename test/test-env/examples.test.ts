import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { goProgram } from '#testkit/programs/go-program';
import { pythonWithGrpc } from '#testkit/programs/python-with';
import { hasRubyWithGrpc } from '#testkit/programs/ruby-with-grpc';
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

const hasProgram = (name: string): boolean => spawnSync(name, ['--version']).status === 0;

/** Makes the folder of the Ruby gem, once. */
let madeGem: Promise<string> | undefined;
function rubyGem(): Promise<string> {
  madeGem ??= (async () => {
    const script = join(ROOT, 'scripts/make-proto-packages.ts');
    const args = ['--conditions=source', script, join(directory, 'protos'), 'ruby'];
    const { code, stdout, stderr } = await run(process.execPath, args, { cwd: ROOT });
    assert.equal(code, 0, stderr);
    return stdout.trim();
  })();
  return madeGem;
}

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

const noRuby = !hasRubyWithGrpc() && 'there is no Ruby with the gem grpc';

test('the gem grpc for Ruby', { skip: noRuby }, async () => {
  await using gitaly = await startGitaly({ token: 'a token', tcp: true });
  const example = join(EXAMPLES, 'ruby/example.rb');
  const options = ['-I', join(await rubyGem(), 'lib'), example];

  const { code, stdout, stderr } = await run('ruby', [...options, gitaly.addresses.tcp ?? '', 'a token']);

  assert.deepEqual([code, stdout], [0, 'exists: true\n'], stderr);
});

const noRspec = noRuby || (!hasProgram('rspec') && 'there is no rspec');

test('a suite in RSpec starts a server as docs/test-env.md describes', { skip: noRspec }, async () => {
  const page = readFileSync(join(ROOT, 'docs/test-env.md'), 'utf8');
  const [, helper = ''] = /^```ruby\n(.*?)^```$/ms.exec(page) ?? [];
  const suite = join(directory, 'rspec');
  mkdirSync(join(suite, 'spec'), { recursive: true });
  writeFileSync(join(suite, 'spec/spec_helper.rb'), helper);
  writeFileSync(
    join(suite, 'spec/server_spec.rb'),
    `require 'spec_helper'
RSpec.describe 'the example' do
  it 'calls the server of the suite' do
    command = ['ruby', *ARGV_OF_EXAMPLE, $gitaly_env['addresses']['tcp'], $gitaly_env['token']]
    expect(IO.popen(command, &:read)).to eq("exists: true\\n")
  end
end
`.replace('ARGV_OF_EXAMPLE', `%w[-I ${await rubyGem()}/lib ${EXAMPLES}/ruby/example.rb]`),
  );

  const { code, stdout, stderr } = await run('rspec', [], {
    cwd: suite,
    env: { PATH: `${join(ROOT, 'bin')}:${process.env.PATH ?? ''}` },
  });

  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /1 example, 0 failures/);
});
