import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '#platform/config/load-config';
import { loadPraefectConfig } from '#praefect/config/load-praefect-config';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { layOutMachine, TOKEN } from './machine-root.ts';

const CLUSTER = join(import.meta.dirname, '../../deploy/docker/cluster');
const NODES = ['gitaly-1', 'gitaly-2', 'gitaly-3'];
const compose = readFileSync(join(CLUSTER, 'compose.yaml'), 'utf8');

const directory = makeScratchDirectory('compose');
after(() => rmSync(directory, { recursive: true, force: true }));

async function makeSecrets(secrets: string): Promise<void> {
  const { code, stderr } = await run(join(CLUSTER, 'make-secrets.sh'), [secrets]);
  assert.deepEqual([code, stderr], [0, '']);
}

/** Returns the lines of a service or another entry of two spaces' indentation. */
function entry(name: string): string {
  return new RegExp(`^  ${name}:\\n((?: {4}.*\\n)+)`, 'm').exec(compose)?.[1] ?? '';
}

test('docker compose accepts the file of the cluster', async (context) => {
  const version = await run('docker', ['compose', 'version']).catch(() => undefined);
  if (version?.code !== 0) return context.skip('there is no docker compose');
  const { code, stderr } = await run('docker', [
    'compose',
    '--file',
    join(CLUSTER, 'compose.yaml'),
    'config',
    '--quiet',
  ]);
  assert.equal(code, 0, stderr);
});

test('secrets are made once, and only their owner reaches them', async () => {
  const secrets = join(directory, 'secrets');
  await makeSecrets(secrets);
  const names = readdirSync(secrets).sort();
  const before = names.map((name) => readFileSync(join(secrets, name), 'utf8'));
  await makeSecrets(secrets);

  assert.deepEqual(names, ['database_password', 'gitaly_token', 'praefect.toml', 'praefect_token']);
  assert.deepEqual(
    names.map((name) => readFileSync(join(secrets, name), 'utf8')),
    before,
  );
  assert.equal(statSync(secrets).mode & 0o777, 0o700);
  for (const name of ['database_password', 'gitaly_token', 'praefect_token'])
    assert.match(readFileSync(join(secrets, name), 'utf8'), /^[0-9a-f]{64}$/);
  // Everything but the token of clients, which no server needs as a file.
  for (const name of names.filter((each) => each !== 'praefect_token'))
    assert.match(entry(name), new RegExp(`^ {4}file: secrets/${name}$`, 'm'));
});

test("praefect's configuration names the services, and has their secrets", async () => {
  const secrets = join(directory, 'for-praefect');
  await makeSecrets(secrets);
  const secret = (name: string): string => readFileSync(join(secrets, name), 'utf8');

  const { config, warnings } = await loadPraefectConfig(join(secrets, 'praefect.toml'));

  assert.deepEqual(warnings, []);
  assert.equal(config.auth.token?.reveal(), secret('praefect_token'));
  const { dbname, host, password, user } = config.database;
  assert.equal(password?.reveal(), secret('database_password'));
  assert.match(entry(host), new RegExp(`POSTGRES_USER: ${user}\\n +POSTGRES_DB: ${dbname}\\n`));
  const nodes = config.virtualStorage.flatMap(({ node }) => node);
  assert.deepEqual(
    nodes.map(({ storage }) => storage),
    NODES,
  );
  for (const { address, storage, token } of nodes) {
    assert.equal(address, `tcp://${storage}:8075`);
    assert.equal(token?.reveal(), secret('gitaly_token'));
  }
});

for (const node of NODES) {
  test(`every key of ${node} is known, and the service has its files`, async () => {
    const text = readFileSync(join(CLUSTER, `${node}.toml`), 'utf8');

    const { auth, warnings } = await loadConfig(layOutMachine(join(directory, node), text));

    assert.equal(auth.token?.reveal(), TOKEN);
    assert.deepEqual(warnings, []);
    assert.match(text, /^listen_addr = "0\.0\.0\.0:8075"$/m);
    assert.match(text, new RegExp(`^name = "${node}"$`, 'm'));
    assert.match(entry(node), new RegExp(`serve, /etc/gitaly/${node}\\.toml`));
    assert.match(entry(node), new RegExp(`"\\./${node}\\.toml:/etc/gitaly/${node}\\.toml:ro"`));
    assert.match(entry(node), new RegExp(`"${node}:/var/lib/gitaly/repositories"`));
  });
}

test('the health check of the image fits praefect, too', () => {
  const image = readFileSync(join(CLUSTER, '../Dockerfile'), 'utf8');
  const template = readFileSync(join(CLUSTER, 'praefect.toml.template'), 'utf8');

  const port = /127\.0\.0\.1:(\d+)\/-\/ready/.exec(image)?.[1];
  assert.match(template, new RegExp(`^prometheus_listen_addr = "0\\.0\\.0\\.0:${port}"$`, 'm'));
});
