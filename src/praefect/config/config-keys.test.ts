import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ConfigWarning } from '#platform/config/config-error';
import { DecodeError, decode } from '#platform/config/decode';
import { configName } from '#platform/config/keys';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import {
  BAD_VALUES,
  documentWith,
  everyKey,
  GOOD_VALUES,
  headersOf,
  type PlacedKey,
  VALUES_OF_NO_KIND,
  valueAt,
} from '#testkit/values/config-values';
import { loadPraefectConfig } from './load-praefect-config.ts';
import { praefectSchema } from './schema.ts';
import { validatePraefectConfig } from './validate-praefect-config.ts';

const KEYS = [...everyKey(praefectSchema)];
const nameOf = ({ path }: PlacedKey): string => path.join('.');

const directory = makeScratchDirectory('praefect-keys');
writeFileSync(join(directory, 'token'), ' the token\n', { mode: 0o600 });
writeFileSync(join(directory, 'open-token'), 'x');
writeFileSync(join(directory, 'empty-token'), '\n', { mode: 0o600 });
chmodSync(join(directory, 'open-token'), 0o644);
after(() => rmSync(directory, { recursive: true }));

const fill = (text: string): string => text.replaceAll('<DIR>', directory);

/** Returns a document that sets one key, and what a server needs. `value` may have further lines. */
function documentOf(name: string, value: string): string {
  const path = name.split('.');
  const [top = ''] = path;
  const isListener = path.length === 1 && ['socket_path', 'listen_addr', 'tls_listen_addr'].includes(top);
  const listener = isListener ? '' : 'socket_path = "/s"\n';
  const node = '[[virtual_storage.node]]\nstorage = "gitaly-1"\naddress = "tcp://a:1"\n';
  const nodes = top === 'virtual_storage' ? '' : `[[virtual_storage]]\nname = "default"\n${node}`;
  const setting = `${path.at(-1)} = ${value}\n`;
  if (path.length === 1) return fill(listener + setting + nodes);
  return fill(listener + nodes + headersOf(praefectSchema, path.slice(0, -1)) + setting);
}

async function load(document: string): Promise<readonly ConfigWarning[] | Error> {
  const path = join(directory, 'config.toml');
  writeFileSync(path, document);
  return await loadPraefectConfig(path).then(
    ({ warnings }) => warnings,
    (error: Error) => error,
  );
}

for (const placed of KEYS) {
  const { key, path } = placed;
  test(`${nameOf(placed)} reads values of its kind, and refuses others with its name`, async () => {
    for (const [toml, raw, value] of GOOD_VALUES[key.kind]) {
      const { values } = decode(praefectSchema, documentWith(praefectSchema, path, raw));
      const read = valueAt(praefectSchema, values, path);
      const shown = typeof read === 'object' && read !== null && 'reveal' in read ? 'abc' : read;
      assert.deepEqual(shown, value === undefined ? key.default : value, toml);
    }
    const negative = key.integerType?.startsWith('u') ? ['-1'] : [];
    for (const toml of [...VALUES_OF_NO_KIND, ...BAD_VALUES[key.kind], ...negative]) {
      const error = await load(documentOf(nameOf(placed), toml));

      assert.ok(error instanceof Error, toml);
      assert.match(error.message, /^error reading config file: /, toml);
      assert.ok(error.cause instanceof DecodeError, `${toml}: ${error.message}`);
      assert.deepEqual(
        error.cause.path.filter((part) => typeof part === 'string'),
        path,
        toml,
      );
    }
  });
}

/** Returns the names that the code outside of this folder reads from objects. */
function readNames(): ReadonlySet<string> {
  const names = new Set<string>();
  const folders = ['src/praefect', 'src/cli/praefect-commands', 'src/rpc/server', 'src/platform/config'];
  const files = [
    ...folders.flatMap(sources),
    'src/cli/programs/praefect-program.ts',
    'src/webhooks/webhook.ts',
    'src/cli/serve/serve-praefect-console.ts',
    'src/cli/serve/serve-console.ts',
  ];
  for (const file of files)
    for (const [name] of readFileSync(file, 'utf8').matchAll(/\b[a-z]\w+\b/g)) names.add(name);
  return names;
}

function sources(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.test\.ts$|schema|validate|check-praefect/.test(name))
    .map((name) => join(folder, name));
}

test('every key is read by the server, or has the reason for which it is not', () => {
  const names = readNames();

  const unused = KEYS.filter(
    ({ key, path }) => key.noEffect === undefined && !names.has(configName(path.at(-1) ?? '', key)),
  );

  assert.deepEqual(unused.map(nameOf), []);
});

test('a key without effect is reported with the reason, an unknown one with the nearest name', async () => {
  for (const placed of KEYS.filter(({ key }) => key.noEffect !== undefined)) {
    const name = nameOf(placed);
    const toml = GOOD_VALUES[placed.key.kind][0]?.[0] ?? '';
    assert.deepEqual(await load(documentOf(name, toml)), [
      {
        message: `configuration key "${name}" has no effect: ${placed.key.noEffect}`,
        fields: { key: name },
      },
    ]);
  }
  assert.deepEqual(await load(documentOf('socket_path', '"/s"\nlisten_adr = "x"')), [
    {
      message: 'unknown configuration key "listen_adr", did you mean "listen_addr"?',
      fields: { key: 'listen_adr' },
    },
  ]);
});

/** Value of a key and, for one that is refused, the texts of the start and of `validate`. */
type Cases = readonly (readonly [value: string, start?: RegExp | undefined, validate?: RegExp])[];

const TLS = `certificate_path = "${TEST_CERTIFICATE}"\nkey_path = "${TEST_KEY}"`;
const THRESHOLDS = 'error_threshold_window = "1s"\nread_error_threshold_count = 1\n';
const AT_LEAST_1 = /is not greater than or equal to 1/;
const NEGATIVE = /not in range: -1s is not greater than or equal to 0s/;

/** The rest of a webhook, and the feed that it needs. */
const HOOK = `
url = "https://ci.example.com/"
secret = "whsec_${Buffer.alloc(24).toString('base64')}"
[events]
enabled = true`;

const CASES: Readonly<Record<string, Cases>> = {
  socket_path: [['"/s"'], ['"unix:///s"'], ['""', /no listen address or socket path configured/, /none of/]],
  listen_addr: [['"localhost:1"'], ['"tcp://localhost:1"']],
  tls_listen_addr: [
    [`"localhost:1"\n[tls]\n${TLS}`],
    [
      `"tls://localhost:1"\nlisten_addr = "localhost:1"\n[tls]\n${TLS}`,
      /same address can't be used for different schemas "localhost:1"/,
    ],
    ['"localhost:1"', /error reading certificate and key paths: loading x509 keypair: open/],
  ],
  'tls.certificate_path': [
    [`"/none"\nkey_path = "${TEST_KEY}"`, undefined, /tls.certificate_path: doesn't exist/],
  ],
  'tls.key': [[`"x"\n${TLS}`, undefined, /tls.key_path.key: key_path and key cannot both be set/]],
  'console.listen_addr': [
    ['"localhost:8081"'],
    ['":8081"\nauth_file = "<DIR>/token"'],
    [
      '":8081"',
      /^validating config: console\.listen_addr: other machines can reach ":8081"/,
      /console\.listen_addr: other machines can reach ":8081", so the console needs auth_file/,
    ],
  ],
  'console.storage': [['"default"'], ['"none"', /no such storage: "none"/, /no such storage: "none"/]],
  'console.auth_file': [['"<DIR>/token"'], ['"<DIR>/none"', /doesn't exist/, /doesn't exist/]],
  'console.certificate_path': [
    [`"${TEST_CERTIFICATE}"\nkey_path = "${TEST_KEY}"`],
    [`"${TEST_CERTIFICATE}"`, /needs key_path/, /console\.certificate_path: needs key_path/],
  ],
  'console.key_path': [[`"${TEST_KEY}"`, /needs certificate_path/, /needs certificate_path/]],
  'console.hosts': [['["git.example.com"]']],
  'console.clone_url': [
    ['"https://git.example.com"'],
    ['"ftp://x"', /console\.clone_url/, /console\.clone_url/],
  ],
  'auth.token_file': [
    ['"<DIR>/token"'],
    ['"<DIR>/open-token"', /permission 0644 is too permissive/, /auth.token_file: file permission 0644/],
    ['"<DIR>/none"', /^error reading config file: reading token file: open .*none: no such/, /doesn't exist/],
    ['"<DIR>/empty-token"', /^error reading config file: reading token file: .*empty-token is empty/],
  ],
  'prometheus.scrape_timeout': [['"1s"'], ['"-1s"', undefined, NEGATIVE]],
  'prometheus.grpc_latency_buckets': [['[1, 2]'], ['[2, 1]', undefined, /bad order: expected asc/]],
  graceful_stop_timeout: [['"0s"'], ['"-1s"', undefined, NEGATIVE]],
  'failover.election_strategy': [
    ['"sql"'],
    ['"x"', /validating config: invalid election strategy: "x"/, /not supported: "x"/],
  ],
  'failover.bootstrap_interval': [['"-1s"', undefined, NEGATIVE]],
  'failover.monitor_interval': [['"-1s"', undefined, NEGATIVE]],
  'failover.error_threshold_window': [
    [`"1s"\nread_error_threshold_count = 1\nwrite_error_threshold_count = 1`],
    ['"1s"', /write error threshold not set/, /failover.write_error_threshold_count: not set/],
  ],
  'failover.read_error_threshold_count': [
    ['1', /threshold window not set/, /failover.error_threshold_window: not set/],
  ],
  'failover.write_error_threshold_count': [
    [`1\n${THRESHOLDS}`],
    ['1\nerror_threshold_window = "1s"', /read error threshold not set/, /read_error_threshold_count: not/],
  ],
  'yamux.maximum_stream_window_size_bytes': [
    ['262144'],
    [
      '262143',
      /yamux.maximum_stream_window_size_bytes must be at least 262144 but it was 262143/,
      /not in range: 262143 is not greater than or equal to 262144/,
    ],
  ],
  'yamux.accept_backlog': [['1'], ['0', /yamux.accept_backlog must be at least 1 but it was 0/, AT_LEAST_1]],
  'replication.batch_size': [['1'], ['0', /replication batch size was 0 but must be >=1/, AT_LEAST_1]],
  'replication.parallel_storage_processing_workers': [['0', undefined, AT_LEAST_1]],
  'reconciliation.scheduling_interval': [['"0s"'], ['"-1s"', undefined, NEGATIVE]],
  'reconciliation.histogram_buckets': [['[2, 1]', undefined, /bad order: expected asc/]],
  'background_verification.verification_interval': [['"0s"'], ['"-1s"', undefined, NEGATIVE]],
  'repositories_cleanup.check_interval': [
    ['"1s"\nrun_interval = "0s"'],
    ['"1s"', /check_interval is less then 1m0s/, /1s is not greater than or equal to 1m0s/],
  ],
  'repositories_cleanup.run_interval': [
    ['"1s"', /run_interval is less then 1m0s/, /1s is not greater than or equal to 1m0s/],
  ],
  'repositories_cleanup.repositories_in_batch': [['0', undefined, AT_LEAST_1]],
  'workers.max': [
    ['"auto"'],
    ['256'],
    ...['0', '-1', '257'].map((value) => {
      const range = new RegExp(`workers\\.max: not in range: ${value} out of \\[1, 256\\]`);
      return [value, range, range] as const;
    }),
    ['"many"', /workers\.max/, /workers\.max/],
  ],
  'events.enabled': [
    ['true'],
    [
      'true\n[failover]\nelection_strategy = "sql"',
      /events.enabled: needs failover.election_strategy = "per_repository"/,
      /events.enabled: needs failover/,
    ],
  ],
  'events.max_events': [
    ['1000\nenabled = true'],
    ['999\nenabled = true', /events.max_events: must be at least 1000: 999/, /must be at least 1000: 999/],
  ],
  'events.max_age': [['"0s"\nenabled = true', /events.max_age: must be longer than 0s/, /events.max_age/]],
  'webhook.name': [
    [`"ci"${HOOK}`],
    [`""${HOOK}`, /webhook\[0\]\.name: not set/, /webhook\.\[0\]\.name: not set/],
    ['"ci"', /webhook: needs events\.enabled = true/, /webhook: needs events/],
  ],
  'webhook.storages': [
    [`["default"]\nname = "ci"${HOOK}`],
    [`["gitaly-1"]\nname = "ci"${HOOK}`, /storages: no such storage: "gitaly-1"/, /no such storage/],
  ],
  'virtual_storage.name': [['""', /virtual storages must have a name/, /blank or empty/]],
  'virtual_storage.node.storage': [
    ['""\naddress = "x"', /virtual storages must have a name/, /node.\[0\].storage: blank or empty/],
  ],
};

for (const [name, cases] of Object.entries(CASES)) {
  test(`${name} is checked`, async () => {
    for (const [value, start, validate] of cases) {
      const document = documentOf(name, value);
      const found = await load(document);
      if (start === undefined) assert.deepEqual(found, [], value);
      else assert.match(found instanceof Error ? found.message : 'accepted', start, value);
      const problems = validatePraefectConfig(document)
        .problems.map(({ key, message }) => `${key.join('.')}: ${message}`)
        .join('\n');
      if (validate !== undefined) assert.match(problems, validate, value);
      else if (start === undefined) assert.equal(problems, '', value);
    }
  });
}
