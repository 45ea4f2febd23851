import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
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
import { ConfigError } from './config-error.ts';
import { decode } from './decode.ts';
import { loadConfig } from './load-config.ts';
import { ReadConfigError, readConfig } from './read-config.ts';
import { schema } from './schema/schema.ts';

// Every key of the schema is tried: with values of its kind, with values of other kinds, at the
// edges, and, if the schema lists accepted values, with the cases below.

const KEYS = [...everyKey(schema)];
const nameOf = ({ path }: PlacedKey): string => path.join('.');

const directory = makeScratchDirectory('config-keys');
for (const name of ['storage', 'other', 'sub']) mkdirSync(join(directory, name));
for (const name of ['token', 'open-token', 'secret'])
  writeFileSync(join(directory, name), 'x', { mode: 0o600 });
writeFileSync(join(directory, 'webhook-secret'), `${Buffer.alloc(32).toString('base64')}\n`);
chmodSync(join(directory, 'open-token'), 0o644);
writeFileSync(join(directory, 'program'), '#!/bin/sh\n', { mode: 0o755 });
copyFileSync(TEST_CERTIFICATE, join(directory, 'cert.pem'));
copyFileSync(TEST_KEY, join(directory, 'key.pem'));
after(() => rmSync(directory, { recursive: true }));

/** Returns a document that sets one key, and what a server needs. `value` may have further lines. */
function documentOf(path: readonly string[], value: string): string {
  const [top = ''] = path;
  const isListener = path.length === 1 && ['socket_path', 'listen_addr', 'tls_listen_addr'].includes(top);
  const listener = isListener ? '' : 'listen_addr = ":0"\n';
  const storage = top === 'storage' ? '' : `[[storage]]\nname = "default"\npath = "<DIR>/storage"\n`;
  const setting = `${path.at(-1)} = ${value}\n`;
  if (path.length === 1) return fill(listener + setting + storage);
  return fill(listener + storage + headersOf(schema, path.slice(0, -1)) + setting);
}

const fill = (text: string): string => text.replaceAll('<DIR>', directory);

for (const placed of KEYS) {
  const { path, key } = placed;
  test(`${nameOf(placed)} reads values of its kind, and its default if it is not set`, () => {
    const isReadAs = (raw: unknown, value: unknown, toml: string): void => {
      const document = documentWith(schema, path, raw);
      const read = valueAt(schema, decode(schema, document).values, path);
      const shown = typeof read === 'object' && read !== null && 'reveal' in read ? 'abc' : read;
      assert.deepEqual(shown, value === undefined ? key.default : value, toml);
    };
    for (const [toml, raw, value] of GOOD_VALUES[key.kind]) isReadAs(raw, value, toml);
  });

  test(`${nameOf(placed)} refuses values of other kinds, with its name and what it accepts`, async () => {
    const negative = key.integerType?.startsWith('u') ? ['-1'] : [];
    const bad = BAD_VALUES[key.kind].filter((toml) => !(key.acceptsOne === true && toml === '"a"'));
    for (const toml of [...VALUES_OF_NO_KIND, ...bad, ...negative]) {
      const error = await readConfig(documentOf(path, toml)).then(
        () => undefined,
        (reason: unknown) => reason,
      );

      assert.ok(error instanceof ReadConfigError, `${toml}: ${error}`);
      assert.match(error.message, /^load toml: toml: \S/, toml);
      const withoutIndexes = error.problem?.path.filter((part) => typeof part === 'string');
      assert.deepEqual(withoutIndexes, path, toml);
    }
  });
}

/** Cases of the keys whose values have a separate check: value, and text of the problem. */
type Cases = readonly (readonly [value: string, problem?: RegExp])[];

const ADDRESS: Cases = [
  ['"localhost:9999"'],
  ['":0"'],
  ['"[::1]:65535"'],
  ['"localhost"', /missing port in address/],
  ['":65536"', /invalid port/],
  ['"::1:80"', /too many colons/],
];
const DIRECTORY: Cases = [
  ['"<DIR>/sub"'],
  ['"<DIR>/sub/../sub/"'],
  ['"<DIR>/none"', /path doesn't exist/],
  ['"<DIR>/token"', /not a directory/],
];
const CACHE_AGE: Cases = [['"5m"\nenabled = true'], ['"0s"\nenabled = true']];
const MISSING_FILE = ['"<DIR>/none"', /doesn't exist/] as const;
const CONSOLE_CASES: Record<string, Cases> = {
  'console.listen_addr': [
    ['"localhost:8081"'],
    ['"127.0.0.1:0"'],
    ['"[::1]:8081"'],
    ['":8081"\nauth_file = "<DIR>/token"'],
    ['":8081"', /console\.listen_addr: other machines can reach ":8081", so the console needs auth_file/],
    ['"192.0.2.1:8081"', /needs auth_file/],
    ['"8081"', /missing port in address/],
  ],
  'console.storage': [['"default"'], ['"none"', /console\.storage: no such storage: "none"/]],
  'console.auth_file': [['"<DIR>/token"'], MISSING_FILE],
  'console.certificate_path': [
    ['"<DIR>/cert.pem"\nkey_path = "<DIR>/key.pem"'],
    ['"<DIR>/cert.pem"', /console\.certificate_path: needs key_path/],
    ['"<DIR>/none"\nkey_path = "<DIR>/key.pem"', /doesn't exist/],
  ],
  'console.key_path': [
    ['"<DIR>/key.pem"\ncertificate_path = "<DIR>/cert.pem"'],
    ['"<DIR>/key.pem"', /console\.key_path: needs certificate_path/],
    ['"<DIR>/token"\ncertificate_path = "<DIR>/cert.pem"', /failed to find any PEM data in key input/],
  ],
  'console.clone_url': [
    ['"https://git.example.com/x"'],
    ['"ssh://git.example.com"', /must be an http:\/\/ or https:\/\/ URL/],
    ['"https://user:word@git.example.com/"', /must not contain a user or a password/],
  ],
};
const HOOK = {
  name: '"ci"',
  url: '"https://ci.example.com/"',
  secret: `"whsec_${Buffer.alloc(24).toString('base64')}"`,
};

/** Cases of a webhook that is complete otherwise. */
function webhookCases(): Record<string, Cases> {
  const complete = (key: string, value: string): string => {
    const others = Object.entries(HOOK).filter(
      ([name]) => name !== key && !(key === 'secret_file' && name === 'secret'),
    );
    const lines = others.map(([name, text]) => `${name} = ${text}`);
    return [value, ...lines, '[events]', 'enabled = true'].join('\n');
  };
  const cases: Record<string, Cases> = {
    name: [['"ci"'], ['""', /webhook\.\[0\]\.name: not set/]],
    url: [
      ['"http://ci.example.com/x?y=z"'],
      ['"ftp://ci.example.com/"', /must be an http:\/\/ or https:\/\/ URL/],
      ['"https://user:word@ci.example.com/"', /must not contain a user or a password/],
    ],
    secret: [
      [HOOK.secret],
      [`"${Buffer.alloc(64).toString('base64')}"`],
      ['"short"', /secret: must be 24 to 64 bytes in base64/],
      [`"${Buffer.alloc(65).toString('base64')}"`, /secret: must be 24 to 64 bytes in base64/],
    ],
    secret_file: [
      ['"<DIR>/webhook-secret"'],
      ['"<DIR>/token"', /secret_file: must be 24 to 64 bytes in base64/],
      ['"<DIR>/none"', /secret_file: doesn't exist/],
    ],
    storages: [['["default"]'], ['["none"]', /storages: no such storage: "none"/]],
    reference_pattern: [
      ['"refs/heads/**"'],
      [`"${'x'.repeat(257)}"`, /reference_pattern: longer than 256 characters/],
    ],
  };
  return Object.fromEntries(
    Object.entries(cases).map(([key, list]) => [
      `webhook.${key}`,
      list.map(([value, ...problem]) => [complete(key, value), ...problem] as const),
    ]),
  );
}

const BUCKET: Cases = [['"file:///tmp/x"'], ['"mem://"'], ['"%zz://"', /first path segment|invalid/]];
const UNKNOWN_BUCKET: Cases[number] = ['"s4://bucket"', /unsupported sink URI scheme: "s4"/];

/** Returns the cases of a limiter. A problem is reported, and does not prevent the start. */
function limiterCases(table: string, problem: string): Record<string, Cases> {
  const says = (key: string, text: string): RegExp => new RegExp(`${problem}\\.${key}: ${text}`);
  const rest = '\nmax_concurrency = 1\nmax_queue_size = 1';
  const adaptive = '\nadaptive = true\nmax_queue_size = 1';
  const entries: Record<string, Cases> = {
    max_concurrency: [
      ['1\nmax_queue_size = 1'],
      ['-1\nmax_per_repo = 1\nmax_queue_size = 1', says('max_concurrency', 'not in range: -1')],
    ],
    max_per_repo: [[`1${rest}`], [`-1${rest}`, says('max_per_repo', 'not in range: -1')]],
    max_queue_size: [
      ['1\nmax_concurrency = 1'],
      ['-1\nmax_concurrency = 1', says('max_queue_size', 'not in range: -1 is not greater than 0')],
    ],
    max_queue_wait: [
      [`"0s"${rest}`],
      [`"1m"${rest}`],
      [`"-1s"${rest}`, says('max_queue_wait', 'not in range: -1s')],
    ],
    initial_limit: [
      [`5${adaptive}\nmin_limit = 5\nmax_limit = 5`],
      [`4${adaptive}\nmin_limit = 5\nmax_limit = 9`, says('initial_limit', 'not in range: 4')],
    ],
    max_limit: [
      [`9${adaptive}\nmin_limit = 1\ninitial_limit = 9`],
      [`8${adaptive}\nmin_limit = 1\ninitial_limit = 9`, says('max_limit', 'not in range: 8')],
    ],
    min_limit: [
      [`1${adaptive}\ninitial_limit = 1\nmax_limit = 1`],
      [`0${adaptive}\ninitial_limit = 1\nmax_limit = 1`, says('min_limit', 'not in range: 0')],
    ],
  };
  const length: Cases =
    table === 'pack_objects_limiting'
      ? [['3'], ['-1', says('max_queue_length', 'not in range: -1 is not greater than 0')]]
      : [[`3${rest}`]];
  return Object.fromEntries(
    Object.entries({ ...entries, max_queue_length: length }).map(([key, cases]) => [
      `${table}.${key}`,
      cases,
    ]),
  );
}

const CASES: Readonly<Record<string, Cases>> = {
  socket_path: [
    ['"<DIR>/s"'],
    ['"<DIR>/none/s"', /bind: no such file or directory/],
    [`"/tmp/${'x'.repeat(200)}"`, /bind: invalid argument/],
    ['""', /at least one of socket_path, listen_addr or tls_listen_addr must be set/],
  ],
  bin_dir: DIRECTORY,
  runtime_dir: DIRECTORY,
  listen_addr: ADDRESS,
  tls_listen_addr: ADDRESS.map(([value, problem]) => [
    `${value}\n[tls]\ncertificate_path = "<DIR>/cert.pem"\nkey_path = "<DIR>/key.pem"`,
    problem,
  ]) as Cases,
  prometheus_listen_addr: ADDRESS,
  'auth.token_file': [
    ['"<DIR>/token"'],
    ['"<DIR>/open-token"', /file permission 0644 is too permissive/],
    ['"<DIR>/none"', /no such file or directory/],
    ['"<DIR>/token"\ntoken = "x"', /token and token_file are mutually exclusive/],
  ],
  'tls.certificate_path': [
    ['"<DIR>/cert.pem"\nkey_path = "<DIR>/key.pem"'],
    ['"<DIR>/token"\nkey_path = "<DIR>/key.pem"', /tls\.certificate_path: loading x509 keypair/],
    ['"<DIR>/none"\nkey_path = "<DIR>/key.pem"', /tls\.certificate_path: doesn't exist/],
  ],
  'tls.key_path': [
    ['"<DIR>/key.pem"\ncertificate_path = "<DIR>/cert.pem"'],
    ['"<DIR>/none"\ncertificate_path = "<DIR>/cert.pem"', /tls\.key_path: doesn't exist/],
    ['"<DIR>/key.pem"\nkey = "x"', /key_path and key cannot both be set/],
  ],
  'tls.key': [['"x"\ncertificate_path = "<DIR>/cert.pem"', /tls\.key: loading x509 keypair/]],
  'git.bin_path': [['"<DIR>/program"'], ['"<DIR>/token"', /permission denied/], ['"/none"', /no such file/]],
  'git.config.key': [
    ['"a.b"'],
    ['"a.b/c.d"'],
    ['"a"', /must contain at least one section/],
    ['"a.b="', /cannot contain "="/],
    ['".a"', /must not start or end with a dot/],
    ['"a.b\\n"', /failed regexp validation/],
    ['""', /key: not set/],
  ],
  'storage.name': [
    ['"a"\npath = "<DIR>/storage"'],
    ['""\npath = "<DIR>/storage"', /\[0\]\.name: not set/],
    [
      '"a"\npath = "<DIR>/storage"\n[[storage]]\nname = "a"\npath = "<DIR>/other"',
      /\[1\]\.name: not unique: "a"/,
    ],
  ],
  'storage.path': [
    ['"<DIR>/storage/"\nname = "a"'],
    ['"<DIR>/none"\nname = "a"', /\[0\]\.path: doesn't exist/],
    ['"<DIR>/token"\nname = "a"', /\[0\]\.path: not a dir/],
    ['"<DIR>/storage"\nname = "a"\n[[storage]]\nname = "b"\npath = "<DIR>/storage"', /not unique/],
    ['"<DIR>/storage"\nname = "a"\n[[storage]]\nname = "b"\npath = "<DIR>"', /can't nest/],
  ],
  'storage.archive': [
    ['"file:///a"\nname = "a"\npath = "<DIR>/storage"'],
    ['["file:///a", "s3://b"]\nname = "a"\npath = "<DIR>/storage"'],
    [
      '"file:///a"\nname = "a"\npath = "<DIR>/storage"\n' +
        '[[storage]]\nname = "b"\npath = "<DIR>/other"\narchive = "file:///a"',
      /\[1\]\.archive: two storages have the same archive/,
    ],
  ],
  'logging.level': [['"warn"'], ['"DEBUG"'], ['"loud"', /not a valid logrus Level: "loud"/]],
  'logging.format': [['"json"'], ['"text"'], ['"xml"', /invalid logger format "xml"/]],
  'prometheus.grpc_latency_buckets': [['[1, 1, 2]'], ['[]'], ['[2, 1]', /bad order: expected asc: \[2 1\]/]],
  'gitlab.url': [
    ['"http://127.0.0.1"\nsecret = "s"'],
    ['"http+unix://%2Ftmp%2Fs"\nsecret = "s"'],
    ['"ftp://x"\nsecret = "s"', /unknown GitLab URL prefix/],
    ['"http+unix://%zz"\nsecret = "s"', /invalid URL escape "%zz"/],
  ],
  'gitlab.secret_file': [
    ['"<DIR>/secret"\nurl = "http://x"'],
    ['"<DIR>/none"\nurl = "http://x"', /reading secret file: open .*none: no such file/],
    ['"<DIR>/secret"\nurl = "http://x"\nsecret = "s"', /ambiguous secret configuration/],
  ],
  'gitlab.http-settings.user': [
    ['"u"\npassword = "p"\n[gitlab]\nurl = "http://x"\nsecret = "s"'],
    ['"u"\n[gitlab]\nurl = "http://x"\nsecret = "s"', /password: blank or empty/],
  ],
  'gitlab.http-settings.password': [
    ['"p"\n[gitlab]\nurl = "http://x"\nsecret = "s"', /user: blank or empty/],
  ],
  'gitlab.http-settings.ca_file': [
    ['"<DIR>/cert.pem"\n[gitlab]\nurl = "http://x"\nsecret = "s"'],
    ['"<DIR>/none"\n[gitlab]\nurl = "http://x"\nsecret = "s"', /ca_file: doesn't exist/],
  ],
  'gitlab.http-settings.ca_path': [
    ['"<DIR>/sub"\n[gitlab]\nurl = "http://x"\nsecret = "s"'],
    ['"<DIR>/token"\n[gitlab]\nurl = "http://x"\nsecret = "s"', /ca_path: not a dir/],
  ],
  'gitlab-shell.dir': [['"<DIR>/sub"'], ['"<DIR>/none"', /gitlab-shell\.dir: doesn't exist/]],
  ...limiterCases('concurrency', 'concurrency\\.?\\[0\\]'),
  ...limiterCases('concurrency.unauthenticated', 'concurrency\\.?\\[0\\]\\.unauthenticated'),
  ...limiterCases('pack_objects_limiting', 'pack_objects_limiting'),
  'pack_objects_limiting.max_total': [['0'], ['-1'], ['8']],
  ...limiterCases('pack_objects_limiting.unauthenticated', 'pack_objects_limiting\\.unauthenticated'),
  'pack_objects_cache.dir': [
    ['"<DIR>/sub"\nenabled = true'],
    ['"sub"\nenabled = true', /storage directory must be absolute path/],
    ['"<DIR>"\nenabled = true', /cannot be the same or a parent of the storage path/],
    ['"sub"\nenabled = false'],
  ],
  'pack_objects_cache.max_age': [...CACHE_AGE, ['"-1s"\nenabled = true', /max_age cannot be negative/]],
  'archive_cache.dir': [['"<DIR>/sub"\nenabled = true']],
  'archive_cache.max_age': CACHE_AGE,
  'daily_maintenance.start_hour': [
    ['0\nduration = "1m"'],
    ['23'],
    ['24', /specified hour '24' outside range \(0-23\)/],
  ],
  'daily_maintenance.start_minute': [['59'], ['60', /specified minute '60' outside range \(0-59\)/]],
  'daily_maintenance.duration': [
    ['"24h"'],
    ['"24h0m1s"', /specified duration 24h0m1s must be less than 24 hours/],
    ['"-1s"', /duration: not in range: -1s/],
  ],
  'daily_maintenance.storages': [
    ['["default"]'],
    ['["none"]', /specified storage "none" does not exist in configuration/],
  ],
  'backup.go_cloud_url': [...BUCKET, UNKNOWN_BUCKET],
  'backup.wal_backup_go_cloud_url': BUCKET,
  'bundle_uri.go_cloud_url': [...BUCKET, UNKNOWN_BUCKET],
  'lfs.url': [...BUCKET, UNKNOWN_BUCKET],
  'cgroups.mountpoint': [
    ['"/sys/fs/cgroup"\nrepositories.count = 1'],
    ['"<DIR>/none"'],
    ['"<DIR>/none"\nrepositories.count = 1', /cgroups\.mountpoint: doesn't exist/],
  ],
  'offloading.go_cloud_url': [
    ['"file:///x"\nenabled = true'],
    ['"%zz://"\nenabled = true', /offloading\.go_cloud_url: /],
  ],
  'git.default_ref_format': [['"files"'], ['"reftable"'], ['"packed"', /not supported: "packed"/]],
  'workers.max': [
    ['"auto"'],
    ['1'],
    ['256'],
    ['0', /workers\.max: not in range: 0 out of \[1, 256\]/],
    ['-1', /workers\.max: not in range: -1 out of \[1, 256\]/],
    ['257', /workers\.max: not in range: 257 out of \[1, 256\]/],
  ],
  'archive.keep_all': [['"1h"'], ['"59m"', /archive\.keep_all: must be at least 1h: 59m0s/]],
  'archive.hourly': [['0'], ['72'], ['-1', /cannot be assigned|negative|uint/]],
  'archive.daily': [['0'], ['30']],
  'archive.weekly': [['0'], ['12']],
  'archive.removed': [
    ['"0s"'],
    ['"2160h"'],
    ['"59m"', /archive\.removed: must be at least 1h, or 0s: 59m0s/],
    ['"-1h"', /archive\.removed: must be at least 1h, or 0s: -1h0m0s/],
  ],
  'events.max_bytes': [['65536'], ['65535', /events\.max_bytes: must be at least 65536: 65535/]],
  'events.max_age': [['"1s"'], ['"0s"', /events\.max_age: must be longer than 0s/]],
  ...webhookCases(),
  ...CONSOLE_CASES,
  'compatibility.oldest_client': [
    ['"15.0"'],
    ['"16.7"'],
    ['"14.9"', /not supported: "14\.9"/],
    ['"v16"', /not supported/],
  ],
};

/** Returns the reason why a document is refused, or the problems that are only reported. */
async function problemOf(document: string): Promise<string> {
  const path = join(directory, 'c.toml');
  writeFileSync(path, document);
  try {
    const { warnings } = await loadConfig(path);
    return warnings
      .map(({ fields }) => (fields.error === undefined ? '' : `${fields.key}: ${fields.error}`))
      .join('\n');
  } catch (error) {
    assert.ok(error instanceof ConfigError, `${document}\n${error}`);
    assert.doesNotMatch(error.message + error.explanation, /\n\s+at /);
    return error.message;
  }
}

for (const [name, cases] of Object.entries(CASES)) {
  test(`${name} is checked`, async () => {
    for (const [value, problem] of cases) {
      const found = await problemOf(documentOf(name.split('.'), value));

      if (problem === undefined) assert.equal(found.trim(), '', value);
      else assert.match(found, problem, value);
    }
  });
}

test('every key that describes its accepted values has cases, and every case has a key', () => {
  const described = KEYS.filter(({ key }) => key.accepted !== undefined).map(nameOf);

  assert.deepEqual(Object.keys(CASES).sort(), described.sort());
});
