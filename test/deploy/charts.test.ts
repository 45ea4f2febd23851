import assert from 'node:assert/strict';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '#platform/config/load-config';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { gitalyTs } from '../start-up.ts';
import { layOutMachine } from './machine-root.ts';

const CHARTS = join(import.meta.dirname, '../../deploy/helm');
const SECRETS = {
  gitaly: 'tokenSecret=token',
  'gitaly-ts': 'config=', // its tokens are made in the running server
  praefect: 'configSecret=praefect',
} as const;
const NAMES = ['gitaly', 'gitaly-ts', 'praefect'] as const;
type Chart = (typeof NAMES)[number];

const directory = makeScratchDirectory('charts');
after(() => rmSync(directory, { recursive: true, force: true }));

async function helm(...args: readonly string[]): Promise<RunResult> {
  return await run('helm', args, { env: { HELM_CACHE_HOME: directory } });
}

const noHelm = (await helm('version').catch(() => ({ code: 1 }))).code !== 0 && 'there is no helm';

function render(chart: Chart, release: string, ...args: readonly string[]): Promise<RunResult> {
  return helm('template', release, join(CHARTS, chart), '--set', SECRETS[chart], ...args);
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, unknown>> };
}

/** Parses what helm prints as Kubernetes does: by the rules of YAML 1.1, where `on` is a boolean. */
function manifests(stdout: string): readonly Manifest[] {
  // The tests compare what they use of the result.
  return parseAllDocuments(stdout, { version: '1.1' }).map((one) => one.toJS() as Manifest);
}

for (const chart of NAMES) {
  const values: Record<string, unknown> = parse(readFileSync(join(CHARTS, chart, 'values.yaml'), 'utf8'));

  // Labels of a release called "on" were booleans, which Kubernetes refuses.
  test(`the chart of ${chart} writes each text of a user in quotes`, () => {
    const unquoted = globSync(join(CHARTS, chart, 'templates/*.yaml')).flatMap((path) => {
      const expressions = readFileSync(path, 'utf8').matchAll(/: \{\{-? ([^}]*) \}\}(?= *(?:$|[,}#]))/gm);
      return [...expressions].map(([, expression = '']) => expression);
    });

    const numbers =
      /^\.Values\.(?:replicas|terminationGracePeriodSeconds|service\.(?:port|sshPort|metricsPort))$/;
    assert.ok(unquoted.length > 5);
    assert.deepEqual(
      unquoted.filter((one) => !/\| (?:quote|nindent \d+)$/.test(one) && !numbers.test(one)),
      [],
    );
  });

  test(`the schema of the chart of ${chart} has the keys of its values`, () => {
    const schema: Schema = JSON.parse(readFileSync(join(CHARTS, chart, 'values.schema.json'), 'utf8'));

    const { global, ...own } = keysOfSchema(schema);

    assert.equal(global, true); // helm passes it to charts that are part of another
    assert.deepEqual(own, keysOfValues(values, own));
  });

  test(`helm accepts the chart of ${chart}, and refuses it without a secret`, { skip: noHelm }, async () => {
    const lint = await helm('lint', '--strict', join(CHARTS, chart), '--set', SECRETS[chart]);
    const rendered = await render(chart, 'test');
    const bare = await helm('template', 'test', join(CHARTS, chart));

    assert.equal(lint.code, 0, lint.stdout + lint.stderr);
    assert.match(rendered.stdout, /runAsNonRoot: true/);
    if (chart === 'gitaly-ts') return;
    assert.notEqual(bare.code, 0);
    assert.match(bare.stderr, /(tokenSecret|configSecret): name a secret whose key [\w.]+ is the/);
  });

  test(`the chart of ${chart} refuses names that Kubernetes refuses`, { skip: noHelm }, async () => {
    for (const release of ['a.b', '1st', 'n'.repeat(46)]) {
      const { code, stderr } = await render(chart, release);

      assert.notEqual(code, 0, release);
      assert.match(stderr, /choose another release name: up to 45 lower-case letters/);
    }

    const { stdout } = await render(chart, 'on');
    const labels = manifests(stdout).flatMap(({ metadata }) => Object.values(metadata.labels ?? {}));
    assert.deepEqual(labels, [chart, 'on']);
  });

  // helm rendered the tag 2 as `gitaly-ts:%!s(int64=2)`, and a misspelt key had no effect.
  test(`the chart of ${chart} names values that it cannot use`, { skip: noHelm }, async () => {
    const number = await render(chart, 'test', '--set', 'image.tag=20261123');
    const text = await render(chart, 'test', '--set-string', 'image.tag=20261123');
    const misspelt = await render(chart, 'test', '--set', 'image.tga=1');

    assert.match(number.stderr, /image.tag: Invalid type. Expected: string/);
    assert.match(text.stdout, /image: 'gitaly-ts:20261123'/);
    assert.match(misspelt.stderr, /tga/);
  });
}

test('the configuration of the chart of gitaly is valid', { skip: noHelm }, async () => {
  const image = readFileSync(join(CHARTS, '../docker/config.toml'), 'utf8');
  const config = '[git]\ncatfile_cache_size = 10';

  const { stdout } = await render('gitaly', 'test', '--set-string', `config=${config}`);

  // The token is where the image's command reads it.
  const command = /^config_command = .*$/m.exec(image)?.[0] ?? 'none';
  assert.match(stdout, /name: token, mountPath: \/run\/secrets\/gitaly_token, subPath: token/);
  // A ConfigMap has texts as data.
  const [map] = manifests(stdout) as readonly (Manifest & { readonly data: Record<string, string> })[];
  const text = map?.data['config.toml'] ?? '';
  assert.ok(text.includes(`\n${command}\n`));
  const { git, warnings } = await loadConfig(layOutMachine(join(directory, 'config'), text));
  assert.deepEqual(warnings, []);
  assert.equal(git.catfileCacheSize, 10);
});

test('gitaly-ts accepts the options of its chart', async () => {
  const template = readFileSync(join(CHARTS, 'gitaly-ts/templates/configmap.yaml'), 'utf8');
  const [, lines = ''] = /up\.toml: \|\n((?: {4}\w.*\n)+)/.exec(template) ?? [];
  const path = join(directory, 'up.toml');
  writeFileSync(path, lines);

  const { code, stderr } = await gitalyTs(['config', 'check', path]);

  assert.ok(lines.split('\n').length > 5);
  assert.deepEqual([code, stderr], [0, '']);
});

test('the chart of praefect migrates before it starts', { skip: noHelm }, async () => {
  const { stdout } = await render('praefect', 'test');

  assert.match(stdout, /args: \[praefect, --config, \/etc\/praefect\/praefect.toml, sql-migrate\]/);
});

test('storageClassName may be -, which selects no class', { skip: noHelm }, async () => {
  const { code, stdout } = await render('gitaly', 'test', '--set', 'storage.storageClassName=-');

  assert.equal(code, 0);
  assert.match(stdout, /storageClassName: "-"/);
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

type Keys = { readonly [key: string]: Keys | true };

/** Returns the keys of objects, and `true` for all other values. */
function keysOfSchema({ properties = {} }: Schema): Keys {
  const entries = Object.entries(properties);
  return Object.fromEntries(entries.map(([key, one]) => [key, one.properties ? keysOfSchema(one) : true]));
}

/** Returns the keys of values, as deep as the schema describes them. */
function keysOfValues(values: object, described: Keys): Keys {
  const entries = Object.entries(values).map(([key, value]) => {
    const inner = described[key];
    return [key, typeof inner === 'object' ? keysOfValues(value, inner) : true];
  });
  return Object.fromEntries(entries);
}
