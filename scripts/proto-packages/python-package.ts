import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonWithGrpc } from '#testkit/programs/python-with';
import { run } from '../packages/run.ts';
import { copyProtos, protoFiles, write } from './proto-files.ts';

const NAME = 'gitaly_protos';

/** Makes the Python package `gitaly-protos` for grpcio. Returns the reason if it cannot. */
export async function makePythonPackage(folder: string, version: string): Promise<string | undefined> {
  const python = await pythonWithGrpc();
  if (python === undefined) return 'grpcio-tools cannot be installed';
  const work = mkdtempSync(join(tmpdir(), 'gitaly-protos-python-'));
  try {
    copyProtos(work, NAME);
    const outputs = ['python', 'pyi', 'grpc_python'].map((kind) => `--${kind}_out=${folder}`);
    const files = protoFiles().map((file) => `${NAME}/${file}`);
    run(python, ['-m', 'grpc_tools.protoc', '-I', work, ...outputs, ...files], work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  write(join(folder, NAME, '__init__.py'), '"""Messages and services of Gitaly\'s protocol."""\n');
  write(join(folder, NAME, 'py.typed'), '');
  write(
    join(folder, 'pyproject.toml'),
    `[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "gitaly-protos"
version = "${version}"
description = "Messages and services of Gitaly's protocol"
license = "MIT"
requires-python = ">=3.9"
dependencies = ["grpcio>=1.76", "protobuf>=6.31"]

[tool.setuptools]
packages = ["${NAME}"]

[tool.setuptools.package-data]
${NAME} = ["*.pyi", "py.typed"]
`,
  );
  return undefined;
}
