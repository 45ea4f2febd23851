import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { pythonWithGrpc } from '#testkit/programs/python-with';
import { hasRubyWithGrpc } from '#testkit/programs/ruby-with-grpc';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { gitalyServices } from '#wire/methods';
import { ROOT } from './registry.ts';

// Programs in each language that `make proto-packages` makes a package for, against a server.

const LIMIT_MS = 5 * 60_000;
const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;
const directory = makeScratchDirectory('protos');
after(() => rmSync(directory, { recursive: true, force: true }));
// Before the first test, as the runner ends with the tests that it knows.
const python = await pythonWithGrpc();
const hasGo = has('go', 'version');

/** Makes the package of one language and returns its folder. */
async function make(language: string): Promise<string> {
  const script = join(ROOT, 'scripts/make-proto-packages.ts');
  const args = ['--conditions=source', script, directory, language];
  const { stdout, stderr } = await run(process.execPath, args, { cwd: ROOT, timeoutMs: LIMIT_MS });
  const folder = join(directory, language);
  assert.equal(stdout, `${folder}\n`, stderr);
  return folder;
}

/** Creates a folder for the program of a test. */
function folderOf(name: string): string {
  const folder = join(directory, name);
  mkdirSync(folder);
  return folder;
}

/** Builds the gem and installs it, next to the gems of the machine. Returns the folder of gems. */
async function installGem(folder: string): Promise<string> {
  const gems = join(directory, 'gems');
  const built = await run('gem', ['build', '-C', folder, 'gitaly-protos.gemspec']);
  assert.equal(built.code, 0, built.stderr);
  const [file = ''] = globSync(join(folder, '*.gem'));
  const result = await run('gem', ['install', '--local', '--no-document', file], { env: { GEM_HOME: gems } });
  assert.equal(result.code, 0, result.stderr);
  return gems;
}

/** Checks that a program has created a repository and found it. */
function assertExists({ code, stdout, stderr }: RunResult): void {
  assert.deepEqual([code, stdout.trim().toLowerCase()], [0, 'exists: true'], stderr);
}

test('npm: with grpc-js', async () => {
  const folder = await make('npm');
  const project = folderOf('npm-project');
  mkdirSync(join(project, 'node_modules'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(folder, join(project, 'node_modules/gitaly-protos'));
  for (const name of ['@bufbuild', '@grpc'])
    for (const place of [folder, project])
      symlinkSync(join(ROOT, 'node_modules', name), join(place, 'node_modules', name));
  writeFileSync(
    join(project, 'main.mjs'),
    `import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { RepositoryService } from 'gitaly-protos/repository_pb';
const { methods: all } = RepositoryService;
const methods = Object.fromEntries(all.map(({ name, input, output, methodKind }) => [name, {
  path: \`/\${RepositoryService.typeName}/\${name}\`,
  requestStream: methodKind === 'client_streaming',
  responseStream: methodKind === 'server_streaming',
  requestSerialize: (message) => Buffer.from(toBinary(input, create(input, message))),
  requestDeserialize: (bytes) => fromBinary(input, bytes),
  responseSerialize: (message) => Buffer.from(toBinary(output, message)),
  responseDeserialize: (bytes) => fromBinary(output, bytes),
}]));
const Client = grpc.makeClientConstructor(methods, 'RepositoryService');
const client = new Client(process.argv[2], grpc.credentials.createInsecure());
const repository = { storageName: 'default', relativePath: 'npm.git' };
client.CreateRepository({ repository }, (error) => {
  if (error) throw error;
  client.RepositoryExists({ repository }, (failure, answer) => {
    if (failure) throw failure;
    console.log('exists:', answer.exists);
    client.close();
  });
});
`,
  );
  await using gitaly = await startGitaly();

  const result = await run(process.execPath, ['main.mjs', gitaly.address], { cwd: project });

  assertExists(result);
  assert.ok(existsSync(join(folder, 'proto/shared.proto')));
});

test('Go', { skip: !hasGo && 'Go is not installed' }, async () => {
  const folder = await make('go');
  const project = folderOf('go-project');
  const module = 'gitaly-ts.local/gitalypb';
  const sums = readFileSync(join(folder, 'go.sum'));
  const requires = readFileSync(join(folder, 'go.mod'), 'utf8').replace(/^module .*$/m, 'module try');
  writeFileSync(join(project, 'go.sum'), sums);
  writeFileSync(
    join(project, 'go.mod'),
    `${requires}\nrequire ${module} v0.0.0\nreplace ${module} => ${folder}\n`,
  );
  writeFileSync(
    join(project, 'main.go'),
    `package main

import (
	"context"
	"fmt"
	"os"

	"${module}"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	repositories := gitalypb.NewRepositoryServiceClient(connection)
	repository := &gitalypb.Repository{StorageName: "default", RelativePath: "go.git"}
	ctx := context.Background()
	request := &gitalypb.CreateRepositoryRequest{Repository: repository}
	if _, err := repositories.CreateRepository(ctx, request); err != nil {
		panic(err)
	}
	answer, err := repositories.RepositoryExists(ctx, &gitalypb.RepositoryExistsRequest{Repository: repository})
	if err != nil {
		panic(err)
	}
	fmt.Println("exists:", answer.GetExists())
}
`,
  );
  const built = await run('go', ['build', '-o', 'try', '.'], { cwd: project, timeoutMs: LIMIT_MS });
  assert.equal(built.code, 0, built.stderr);
  await using gitaly = await startGitaly();

  const result = await run(join(project, 'try'), [gitaly.address], { cwd: project });

  assertExists(result);
});

test('Python', { skip: python === undefined && 'grpcio cannot be installed' }, async () => {
  const folder = await make('python');
  const main = join(folderOf('python-project'), 'main.py');
  writeFileSync(
    main,
    `import sys
import grpc
from gitaly_protos import repository_pb2 as messages, repository_pb2_grpc as services, shared_pb2 as shared

with grpc.insecure_channel(sys.argv[1]) as channel:
    repositories = services.RepositoryServiceStub(channel)
    repository = shared.Repository(storage_name="default", relative_path="python.git")
    repositories.CreateRepository(messages.CreateRepositoryRequest(repository=repository))
    answer = repositories.RepositoryExists(messages.RepositoryExistsRequest(repository=repository))
    print("exists:", answer.exists)
`,
  );
  await using gitaly = await startGitaly();

  const result = await run(python ?? '', [main, gitaly.address], { env: { PYTHONPATH: folder } });

  assertExists(result);
  assert.ok(existsSync(join(folder, 'gitaly_protos/shared_pb2.pyi')));
});

test('Ruby', { skip: !hasRubyWithGrpc() && 'there is no Ruby with the gem grpc' }, async () => {
  const folder = await make('ruby');
  const main = join(folderOf('ruby-project'), 'main.rb');
  writeFileSync(
    main,
    `require 'gitaly'
repositories = Gitaly::RepositoryService::Stub.new(ARGV[0], :this_channel_is_insecure)
repository = Gitaly::Repository.new(storage_name: 'default', relative_path: 'ruby.git')
repositories.create_repository(Gitaly::CreateRepositoryRequest.new(repository: repository))
answer = repositories.repository_exists(Gitaly::RepositoryExistsRequest.new(repository: repository))
puts "exists: #{answer.exists}"
`,
  );
  const installed = await installGem(folder);
  await using gitaly = await startGitaly();

  const result = await run('ruby', [main, gitaly.address], { env: { GEM_HOME: installed } });

  assertExists(result);
});

test('the files of the Ruby gem have all messages and methods', async () => {
  const folder = await make('ruby');

  for (const service of gitalyServices) {
    const stem = service.file.name;
    const messages = readFileSync(join(folder, `lib/gitaly/${stem}_pb.rb`), 'utf8');
    const [, literal = ''] = /^descriptor_data = "(.*)"\.b$/m.exec(messages) ?? [];
    const bytes = literal.replace(/\\x(..)/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    const file = fromBinary(FileDescriptorProtoSchema, Buffer.from(bytes, 'latin1'));
    assert.equal(file.name, `${stem}.proto`);
    for (const { name } of file.messageType)
      assert.ok(messages.includes(`  ${name} = ::Google::`), `${stem} declares ${name}`);
    const stubs = readFileSync(join(folder, `lib/gitaly/${stem}_services_pb.rb`), 'utf8');
    for (const { name } of service.methods) assert.match(stubs, new RegExp(`^ +rpc :${name}, `, 'm'));
  }
  const all = readFileSync(join(folder, 'lib/gitaly.rb'), 'utf8');
  for (const [, path = ''] of all.matchAll(/^require '(.*)'$/gm))
    assert.ok(existsSync(join(folder, `lib/${path}.rb`)), path);
});
