import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ConfigError } from './config-error.ts';
import { configFrom, type GitalyConfig, loadConfig } from './load-config.ts';

/**
 * Returns a directory with a storage, and a function that loads a configuration with the required
 * keys.
 */
function arrange() {
  const directory = makeScratchDirectory('config');
  mkdirSync(join(directory, 'storage'));
  const path = join(directory, 'config.toml');
  const storage = `[[storage]]\nname = "default"\npath = "${directory}/storage"\n`;
  return {
    directory,
    path,
    storage,
    load(text: string): Promise<GitalyConfig> {
      writeFileSync(path, text);
      return loadConfig(path);
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

async function refusal(attempt: Promise<unknown>): Promise<ConfigError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError, `refused, not ${inspect(error)}`);
  return error;
}

test('a stand-alone server needs only a listener and a storage', async () => {
  using files = arrange();

  const config = await files.load(`socket_path = "${files.directory}/s"\n${files.storage}`);

  assert.deepEqual(config.warnings, []);
  assert.deepEqual(config.storage, [{ name: 'default', path: `${files.directory}/storage`, archive: [] }]);
  assert.equal(config.gitlab.url, undefined);
  assert.equal(config.gitlab.secretFile, undefined);
  assert.equal(config.binDir, undefined);
  assert.equal(config.gracefulRestartTimeoutMs, 60_000);
  assert.equal(config.timeout.uploadPackNegotiationMs, 600_000);
  assert.deepEqual(config.logging, {
    level: 'info',
    format: 'text',
    dir: undefined,
    sentryDsn: undefined,
    sentryEnvironment: undefined,
    rubySentryDsn: undefined,
  });
  assert.deepEqual(config.dailyMaintenance, {
    startHour: 12,
    startMinute: 0,
    durationMs: 600_000,
    storages: ['default'],
    disabled: false,
  });
});

test("numbers of a pressure that are not positive stand for Gitaly's defaults", () => {
  using files = arrange();
  const zeros = {
    warning_threshold: 0,
    backoff_threshold: -1,
    critical_threshold: 0,
    sustain_duration_seconds: 0,
    fast_fall_ratio: 0,
  };

  const { adaptiveLimiting } = configFrom({
    listen_addr: '127.0.0.1:0',
    storage: [{ name: 'a', path: join(files.directory, 'storage/') }],
    adaptive_limiting: { psi_pressure: { memory: zeros, cpu: { ...zeros, backoff_threshold: 30 } } },
  });

  const { memory, cpu } = adaptiveLimiting.psiPressure;
  const times = { enabled: false, sustainDurationSeconds: 30, fastFallRatio: 0.85 };
  assert.deepEqual(memory, { ...times, warningThreshold: 10, backoffThreshold: 20, criticalThreshold: 40 });
  assert.deepEqual(cpu, { ...times, warningThreshold: 20, backoffThreshold: 30, criticalThreshold: 50 });
});

test('a program can pass a configuration, with plain numbers', async () => {
  using files = arrange();

  const config = configFrom({
    listen_addr: '127.0.0.1:0',
    storage: [{ name: 'a', path: join(files.directory, 'storage/') }],
    git: { catfile_cache_size: 7, config: [{ key: 'a.b', value: 'c' }] },
    graceful_restart_timeout: '2s',
  });

  assert.equal(config.git.catfileCacheSize, 7);
  assert.deepEqual(config.git.config, [{ key: 'a.b', value: 'c' }]);
  assert.equal(config.gracefulRestartTimeoutMs, 2000);
  assert.equal(config.storage[0]?.path, `${files.directory}/storage`);
});

test('a wrong value is reported with file, line, key, value and accepted values', async () => {
  using files = arrange();

  const error = await refusal(
    files.load(`${files.storage}[[git.config]]\nkey = "a.b"\n[[git.config]]\nkey = 7\n`),
  );

  assert.equal(
    error.message,
    `load config: config_path "${files.path}": load toml: toml: cannot decode TOML integer into struct ` +
      'field config.GitConfig.Key of type string',
  );
  assert.equal(
    error.explanation,
    `  file      ${files.path}, line 7\n  key       git.config[1].key\n  read      7\n` +
      '  accepted  a git setting such as "fetch.fsckObjects"',
  );
});

for (const [name, text, key, accepted] of [
  ['a missing directory', 'runtime_dir = "/nope"', 'runtime_dir', 'an existing directory'],
  [
    'an address without a port',
    'prometheus_listen_addr = "localhost"',
    'prometheus_listen_addr',
    'HOST:PORT, such as "localhost:9236" or ":9236"',
  ],
  [
    'a port out of range',
    'listen_addr = "localhost:99999"',
    'listen_addr',
    'HOST:PORT, such as "localhost:9999" or ":9999"',
  ],
  ['a log format', '[logging]\nformat = "xml"', 'logging.format', '"text" or "json"'],
  [
    'a log level',
    '[logging]\nlevel = "loud"',
    'logging.level',
    'panic, fatal, error, warn, info, debug or trace',
  ],
  ['a TLS version', '[tls]\nmin_version = "TLS 1.1"', 'tls.min_version', '"TLS 1.2" or "TLS 1.3"'],
  ['a git that is not there', '[git]\nbin_path = "/nope/git"', 'git.bin_path', 'an executable file'],
  [
    'a socket path that is too long',
    `socket_path = "/tmp/${'x'.repeat(110)}"`,
    'socket_path',
    'a path of at most 107 bytes in an existing directory',
  ],
  [
    'a socket in a missing directory',
    'socket_path = "/nope/s"',
    'socket_path',
    'a path of at most 107 bytes in an existing directory',
  ],
  [
    'a float for a whole number',
    '[git]\ncatfile_cache_size = 1.5',
    'git.catfile_cache_size',
    'a whole number',
  ],
  [
    'a client version that is none',
    '[compatibility]\noldest_client = "v16"',
    'compatibility.oldest_client',
    'a version from "15.0" on, such as "16.7"',
  ],
  ['a text for a flag', '[auth]\ntransitioning = "yes"', 'auth.transitioning', 'true or false'],
] as const) {
  test(`the error for ${name} names the accepted values`, async () => {
    using files = arrange();
    const listener =
      text.startsWith('listen_addr') || text.startsWith('socket_path') ? '' : 'listen_addr = ":0"\n';

    const error = await refusal(files.load(`${listener}${text}\n${files.storage}`));

    assert.match(error.explanation, new RegExp(`key {7}${key.replace('.', '\\.')}\\n`));
    assert.ok(error.explanation.endsWith(`accepted  ${accepted}`), error.explanation);
  });
}

test('a file that is not TOML is refused with the line', async () => {
  using files = arrange();

  const error = await refusal(files.load(`${files.storage}[[storage\n`));

  assert.equal(
    error.explanation,
    `  file      ${files.path}, line 4\n` +
      '  accepted  TOML: key = "text", key = 1 or key = true; [table]; [[list of tables]]',
  );
});

test('an error lists misspelt keys, which may be its cause', async () => {
  using files = arrange();

  const error = await refusal(files.load(`socket_pth = "/tmp/s"\nof_my_own = 1\n${files.storage}`));

  assert.match(error.message, /at least one of socket_path, listen_addr or tls_listen_addr must be set$/);
  assert.ok(
    error.explanation.endsWith('\n  unknown   "socket_pth", did you mean "socket_path"?'),
    error.explanation,
  );
});

test('a secret of the wrong type is not printed', async () => {
  using files = arrange();

  const error = await refusal(files.load('[auth]\ntoken = 12345\n'));

  assert.doesNotMatch(error.message + error.explanation, /12345/);
  assert.match(error.explanation, /read {6}\[secret\]/);
});

test('a missing file is refused with its path', async () => {
  const error = await refusal(loadConfig('/nope/config.toml'));

  assert.equal(
    error.message,
    'load config: config_path "/nope/config.toml": open /nope/config.toml: no such file or directory',
  );
});

test('an unknown key is a warning with the nearest known name', async () => {
  using files = arrange();

  const config = await files.load(
    `listen_addr = ":0"\nsoket_path = "x"\n${files.storage}[gti]\nx = 1\n[logging]\nformt = "json"\n` +
      'colour = true\n[nonsense]\n',
  );
  const [top, ...messages] = [config.warnings.at(-1), ...config.warnings.slice(0, -1)];

  assert.deepEqual(
    messages.map(({ message, fields }) => [message, fields.line]),
    [
      ['unknown configuration key "soket_path", did you mean "socket_path"?', '2'],
      ['unknown configuration key "gti", did you mean "git"?', '6'],
      ['unknown configuration key "logging.formt", did you mean "format"?', '9'],
      [
        'unknown configuration key "logging.colour"; known here: level, format, dir, sentry_dsn, ' +
          'sentry_environment, ruby_sentry_dsn',
        '10',
      ],
    ],
  );
  assert.match(
    top?.message ?? '',
    /^unknown configuration key "nonsense"; known here: .*\bsocket_path, .*\bstorage\b/,
  );
});

test('a key without effect causes a warning with the reason', async () => {
  using files = arrange();

  const config = await files.load(
    `listen_addr = ":0"\nbin_dir = "${files.directory}"\n${files.storage}` +
      '[git]\nuse_bundled_binaries = true\n' +
      '[prometheus]\nscrape_timeout = "5s"\n[gitaly-ruby]\nmax_rss = 1\n',
  );

  assert.deepEqual(
    config.warnings.map(({ message }) => message),
    [
      'configuration key "bin_dir" has no effect: this server uses the programs of its installation',
      'configuration key "git.use_bundled_binaries" has no effect: this server bundles no git',
      'configuration key "prometheus.scrape_timeout" has no effect: only Praefect has a database',
      'configuration key "gitaly-ruby" has no effect: belongs to Gitaly versions before 18.0',
    ],
  );
});

test('key names are case-insensitive', async () => {
  using files = arrange();

  const config = await files.load(`Listen_Addr = ":0"\n${files.storage}[Logging]\nFormat = "json"\n`);

  assert.equal(config.listenAddr, ':0');
  assert.equal(config.logging.format, 'json');
});

test('the token file gives the token, and its mode must be private', async () => {
  using files = arrange();
  const tokenFile = join(files.directory, 'token');
  writeFileSync(tokenFile, ' the token\n', { mode: 0o600 });
  const text = `listen_addr = ":0"\n${files.storage}[auth]\ntoken_file = "${tokenFile}"\n`;

  assert.equal((await files.load(text)).auth.token?.reveal(), 'the token');

  // Born failing: the server then accepted whoever signed with an empty token.
  writeFileSync(tokenFile, '\n');
  const empty = await refusal(files.load(text));
  assert.ok(empty.message.endsWith(`reading token file: ${tokenFile} is empty`));

  chmodSync(tokenFile, 0o644);
  writeFileSync(tokenFile, 'the token');
  const error = await refusal(files.load(text));
  assert.ok(
    error.message.endsWith(
      'invalid config: token_file: file permission 0644 is too permissive, should be 0600 or 0400',
    ),
  );

  const both = await refusal(files.load(`${text}token = "x"\n`));
  assert.ok(
    both.message.endsWith('invalid config: token.token_file: token and token_file are mutually exclusive'),
  );

  rmSync(tokenFile);
  const gone = await refusal(files.load(text));
  assert.ok(gone.message.endsWith(`reading token file: open ${tokenFile}: no such file or directory`));
});

test('gitlab-shell.dir provides the paths of secret and hooks, and a zero duration is no limit', async () => {
  using files = arrange();
  writeFileSync(join(files.directory, '.gitlab_shell_secret'), 's');

  const config = await files.load(
    `listen_addr = ":0"\ngraceful_restart_timeout = "0s"\n${files.storage}[gitlab]\nurl = "http://x"\n[gitlab-shell]\ndir = "${files.directory}"\n[timeout]\nupload_pack_negotiation = "-1s"\n`,
  );

  assert.equal(config.gitlab.secretFile, `${files.directory}/.gitlab_shell_secret`);
  assert.equal(config.hooks.customHooksDir, `${files.directory}/hooks`);
  assert.equal(config.gracefulRestartTimeoutMs, 60_000);
  assert.equal(config.timeout.uploadPackNegotiationMs, 600_000);
});

/** Writes an executable for `config_command`. */
function command(directory: string, script: string): string {
  const path = join(directory, 'command');
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

test('the output of config_command overrides the file: tables key by key, lists as a whole', async () => {
  using files = arrange();
  const json = {
    listen_addr: ':1',
    git: { catfile_cache_size: 5 },
    gitlab: { url: 'http://x', secret: 's', http_settings: { user: 'u', password: 'p' } },
    cgroups: { MemoryBytes: 7, Repositories: { Count: 1 } },
    storage: [{ Name: 'other', Path: join(files.directory, 'storage') }],
    unknown: null,
  };
  const path = command(files.directory, `echo '${JSON.stringify(json)}'`);

  const config = await files.load(
    `config_command = "${path}"\nlisten_addr = ":0"\n[git]\nbin_path = "/bin/sh"\n` +
      `catfile_cache_size = 3\n${files.storage}`,
  );

  assert.equal(config.listenAddr, ':1');
  assert.deepEqual([config.git.binPath, config.git.catfileCacheSize], ['/bin/sh', 5]);
  assert.equal(config.gitlab.httpSettings.user, 'u');
  assert.deepEqual([config.cgroups.memoryBytes, config.cgroups.repositories.count], [7, 1]);
  assert.deepEqual(
    config.storage.map(({ name }) => name),
    ['other'],
  );
});

for (const [name, script, message] of [
  ['fails', 'echo error >&2; exit 1', 'running config command: exit status 1, stderr: "error\\n"'],
  [
    'prints no JSON',
    'echo hello',
    "unmarshalling generated config: invalid character 'h' looking for beginning of value",
  ],
  ['prints nothing', ':', 'unmarshalling generated config: unexpected end of JSON input'],
  ['is killed', 'kill -9 $$', 'running config command: signal: killed, stderr: ""'],
  [
    'prints a wrong type',
    `echo '{"listen_addr": 5}'`,
    'unmarshalling generated config: json: cannot unmarshal number into Go struct field ' +
      'config.Cfg.ListenAddr of type string',
  ],
] as const) {
  test(`a config_command that ${name} prevents the start`, async () => {
    using files = arrange();

    const error = await refusal(files.load(`config_command = "${command(files.directory, script)}"\n`));

    assert.equal(error.message, `load config: config_path "${files.path}": ${message}`);
  });
}

test('a missing config_command prevents the start', async () => {
  using files = arrange();

  const error = await refusal(files.load('config_command = "/does/not/exist"\n'));

  assert.ok(
    error.message.endsWith('running config command: fork/exec /does/not/exist: no such file or directory'),
    error.message,
  );
});

test('secrets of a configuration are not printed', async () => {
  using files = arrange();

  const config = await files.load(
    `listen_addr = ":0"\n${files.storage}[auth]\ntoken = "hunter2"\n[gitlab]\nurl = "http://x"\nsecret = "hunter2"\n[gitlab.http-settings]\nuser = "u"\npassword = "hunter2"\n`,
  );

  assert.doesNotMatch(inspect(config, { depth: 9 }) + JSON.stringify(config), /hunter2/);
  assert.equal(config.auth.token?.reveal(), 'hunter2');
});

// "accepted  an existing PEM file, without key" was printed for a key that is missing.
test('a certificate without its key is refused with the key that is missing alone', async () => {
  using files = arrange();

  const error = await refusal(
    files.load(`tls_listen_addr = ":0"\n${files.storage}[tls]\ncertificate_path = "${TEST_CERTIFICATE}"\n`),
  );

  assert.equal(
    error.explanation,
    [
      `  file      ${files.path}`,
      '  key       tls.key_path',
      '  read      nothing',
      '  accepted  an existing PEM file with the private key; not together with key',
    ].join('\n'),
  );
});

// "invalid config: not set" was all that a program printed.
test('the error of a program names the key, what was read, and what is accepted', () => {
  const messageFor = (keys: Record<string, unknown>): string => {
    try {
      configFrom(keys);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error.message;
    }
    return 'no error';
  };

  assert.match(
    messageFor({ listen_addr: ':0' }),
    /invalid config: not set\n.*\n {2}key {7}storage\n {2}read {6}nothing\n {2}accepted {2}one or more tables, each headed by \[\[storage\]\], with name, path, archive$/,
  );
  assert.match(
    messageFor({ listen_addr: 8080 }),
    /\n {2}key {7}listen_addr\n {2}read {6}8080\n {2}accepted /,
  );
});
