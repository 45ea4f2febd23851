import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, run } from '../packages/run.ts';
import { buf, copyProtos, write } from './proto-files.ts';

const PLUGINS = {
  'protoc-gen-go': 'google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10',
  'protoc-gen-go-grpc': 'google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1',
};
const REQUIRED = { 'google.golang.org/grpc': 'v1.76.0', 'google.golang.org/protobuf': 'v1.36.10' };
const TOOLS = join(ROOT, '.cache/go-protoc');
/** Not a place to download from: users name the folder with `replace`. */
const LOCAL_MODULE = 'gitaly-ts.local/gitalypb';

/** Makes a Go module with one package, `gitalypb`. Returns the reason if it cannot. */
export function makeGoModule(folder: string): string | undefined {
  if (spawnSync('go', ['version']).status !== 0) return 'Go is not installed';
  const module = process.env.GITALY_GO_MODULE || LOCAL_MODULE;
  const work = mkdtempSync(join(tmpdir(), 'gitaly-protos-go-'));
  try {
    const plugins = Object.entries(PLUGINS).map(([name, from]) => ({ local: installed(name, from) }));
    copyProtos(work, 'gitalypb');
    const template = {
      version: 'v2',
      managed: { enabled: true, override: [{ file_option: 'go_package', value: `${module};gitalypb` }] },
      plugins: plugins.map((plugin) => ({ ...plugin, out: folder, opt: [`module=${module}`] })),
    };
    write(join(work, 'buf.yaml'), JSON.stringify({ version: 'v2', modules: [{ path: '.' }] }));
    buf(['generate', '--template', JSON.stringify(template)], work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const requires = Object.entries(REQUIRED).map(([name, version]) => `\t${name} ${version}\n`);
  write(join(folder, 'go.mod'), `module ${module}\n\ngo 1.24\n\nrequire (\n${requires.join('')})\n`);
  run('go', ['mod', 'tidy'], folder);
  return undefined;
}

function installed(name: string, from: string): string {
  const program = join(TOOLS, from.replace(/^.*@/, ''), name);
  if (existsSync(program)) return program;
  mkdirSync(join(program, '..'), { recursive: true });
  run('env', [`GOBIN=${join(program, '..')}`, 'go', 'install', from], ROOT);
  return program;
}
