import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';

const ROOT = join(import.meta.dirname, '../..');
const DOCKERFILE = 'deploy/docker/Dockerfile';
const BASES = [...readFileSync(join(ROOT, DOCKERFILE), 'utf8').matchAll(/^FROM (\S+)/gm)].map(
  ([, base = '']) => base,
);
const IMAGE = 'gitaly-ts-test';
const BUILD_LIMIT_MS = 10 * 60_000;
const HEALTHY_LIMIT_MS = 60_000;
const STOP_SECONDS = 30;
/** On the base; with the 9 MB of Alpine the image has less than 250 MB. */
const MAX_LAYERS_BYTES = 240_000_000;
/** As in compose.yaml. */
const PRIVILEGES = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--tmpfs=/tmp:exec'];

const directory = makeScratchDirectory('image');
after(() => rmSync(directory, { recursive: true, force: true }));

async function succeeds(program: string, ...args: readonly string[]): Promise<boolean> {
  const options = { cwd: ROOT, timeoutMs: BUILD_LIMIT_MS };
  const result = await run(program, args, options).catch(() => undefined); // there is no such program
  return result?.code === 0;
}

/** Returns the program that builds images and runs containers here. */
async function findEngine(): Promise<'docker' | 'podman' | undefined> {
  for (const name of ['docker', 'podman'] as const) if (await succeeds(name, 'info')) return name;
  return undefined;
}

async function hasBases(program: string): Promise<boolean> {
  for (const base of BASES)
    if (!(await succeeds(program, 'image', 'inspect', base)) && !(await succeeds(program, 'pull', base)))
      return false;
  return true;
}

const engine = await findEngine();
const reason =
  engine === undefined
    ? 'there is neither a Docker daemon nor podman'
    : !(await hasBases(engine)) && 'no base image can be fetched';

async function call(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(engine ?? '', args, { cwd: ROOT, timeoutMs: BUILD_LIMIT_MS });
  if (code !== 0) throw new Error(`${engine} ${args.join(' ')}: exit code ${code}, ${stderr}`);
  return stdout.trim();
}

async function sizeOf(image: string): Promise<number> {
  return Number(await call('image', 'inspect', '--format', '{{.Size}}', image));
}

/** Runs the image's health check until it succeeds. Podman runs it by itself only with systemd. */
async function becomesHealthy(id: string): Promise<boolean> {
  const [, ...words] = JSON.parse(await call('inspect', '--format', '{{json .Config.Healthcheck.Test}}', id));
  const end = Date.now() + HEALTHY_LIMIT_MS;
  while (Date.now() < end)
    if (await succeeds(engine ?? '', 'exec', id, 'sh', '-c', words.join(' '))) return true;
  return false;
}

/** Creates a repository, pushes to it and clones it, by the server's own programs. */
const PUSH_AND_CLONE = `set -eu
cd /tmp
export HOME=/tmp GITALY_ADDRESS=tcp://127.0.0.1:8075 GITALY_TOKEN="$(cat /run/secrets/gitaly_token)"
repository='"repository":{"storageName":"default","relativePath":"a.git"}'
export GIT_SSH_VARIANT=simple
node --input-type=module -e '
import { dial } from "/usr/local/lib/node_modules/gitaly-ts/dist/client/index.js";
const connection = await dial(process.env.GITALY_ADDRESS, { token: process.env.GITALY_TOKEN });
const repository = { storageName: "default", relativePath: "a.git" };
await connection.repository.createRepository({ repository });
await connection.close();
'
git init -q -b main work
git -C work -c user.name=A -c user.email=a@example.com commit -q --allow-empty -m first
export GITALY_PAYLOAD="{$repository,\\"glId\\":\\"user-1\\"}" GIT_SSH_COMMAND='gitaly-ssh receive-pack'
git -C work push -q x:y main
export GITALY_PAYLOAD="{$repository}" GIT_SSH_COMMAND='gitaly-ssh upload-pack'
git clone -q x:y copy
git -C copy log --format=%s
`;

test('the image is small, runs without privileges, and serves git', { skip: reason }, async () => {
  assert.ok(await succeeds(process.execPath, 'scripts/make-packages.ts'));
  await call(
    'build',
    ...(engine === 'podman' ? ['--format=docker'] : []),
    '--file',
    DOCKERFILE,
    '--tag',
    IMAGE,
    '.',
  );
  const secret = join(directory, 'token');
  writeFileSync(secret, 'a token\n', { mode: 0o644 });
  const volume = `--volume=${secret}:/run/secrets/gitaly_token:ro`;

  const id = await call('run', '--detach', ...PRIVILEGES, volume, IMAGE);

  try {
    assert.ok(await becomesHealthy(id), await call('logs', id));
    assert.equal(await call('exec', id, 'id', '-u'), '1000');
    assert.equal(await call('exec', id, 'sh', '-c', PUSH_AND_CLONE), 'first');
    await call('stop', '--time', String(STOP_SECONDS), id);
    assert.equal(await call('inspect', '--format', '{{.State.ExitCode}}', id), '0');
    const bytes = (await sizeOf(IMAGE)) - (await sizeOf(BASES.at(-1) ?? ''));
    assert.ok(bytes < MAX_LAYERS_BYTES, `${bytes} bytes`);
  } finally {
    await call('rm', '--force', '--volumes', id);
  }
});
