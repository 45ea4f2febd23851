import assert from 'node:assert/strict';
import { test } from 'node:test';
import { praefectConfigFrom } from './load-praefect-config.ts';
import { validatePraefectConfig } from './validate-praefect-config.ts';

const node = (storage: string, address = `unix:/${storage}`) => ({ storage, address });
const good = { name: 'default', node: [node('a'), node('b')] };

/** Returns why Praefect does not start, as Gitaly's does. */
function problemOf(...virtualStorages: readonly object[]): string | undefined {
  try {
    praefectConfigFrom({ socket_path: '/s', virtual_storage: [...virtualStorages] as never });
    return undefined;
  } catch (error) {
    return (error as Error).message; // of a configuration that is refused
  }
}

for (const { name, virtualStorages, problem } of [
  { name: 'no virtual storages', virtualStorages: [], problem: 'no virtual storages configured' },
  {
    name: 'a virtual storage without a name',
    virtualStorages: [good, { ...good, name: '' }],
    problem: 'virtual storages must have a name',
  },
  {
    name: 'two virtual storages of one name',
    virtualStorages: [good, good],
    problem: 'virtual storage "default": virtual storages must have unique names',
  },
  {
    name: 'a virtual storage without nodes',
    virtualStorages: [{ name: 'x', node: [] }],
    problem: 'virtual storage "x": no primary gitaly backends configured',
  },
  {
    name: 'a node without a storage',
    virtualStorages: [{ ...good, node: [node('a'), node('', 'unix:/b')] }],
    problem: 'virtual storage "default": all gitaly nodes must have a storage',
  },
  {
    name: 'a node without an address',
    virtualStorages: [{ ...good, node: [node('a'), node('b', '')] }],
    problem: 'virtual storage "default": all gitaly nodes must have an address',
  },
  {
    name: 'two nodes with one storage',
    virtualStorages: [{ ...good, node: [node('a'), node('a', 'unix:/b')] }],
    problem: 'virtual storage "default": internal gitaly storages are not unique',
  },
  {
    name: 'more replicas than nodes',
    virtualStorages: [{ ...good, default_replication_factor: 3n }],
    problem:
      'virtual storage "default" has a default replication factor (3) which is higher than the number of ' +
      'storages (2)',
  },
])
  test(`${name} are refused`, () => {
    assert.equal(problemOf(...virtualStorages), `validating config: ${problem}`);
  });

test('as many replicas as nodes, and nodes of several virtual storages, are accepted', () => {
  const full = { ...good, default_replication_factor: 2n };

  assert.equal(problemOf(full, { ...good, name: 'other' }), undefined);
});

test('validate names each place of a virtual storage that is wrong', () => {
  const { problems } = validatePraefectConfig(`
socket_path = "/s"
[[virtual_storage]]
name = "default"
node = [{ storage = "a", address = "unix:/a" }, { storage = " ", address = "" }]
[[virtual_storage]]
name = ""
`);

  const at = (...key: string[]) => ['virtual_storage', ...key].join('.');
  assert.deepEqual(
    problems.map(({ key, message }) => [key.join('.'), message]),
    [
      [at('[0]', 'node', '[1]', 'storage'), 'blank or empty'],
      [at('[0]', 'node', '[1]', 'address'), 'blank or empty'],
      [at('[1]', 'name'), 'blank or empty'],
      [at('[1]', 'node'), 'not set'],
    ],
  );
  assert.deepEqual(validatePraefectConfig('socket_path = "/s"').problems, [
    { key: ['virtual_storage'], message: 'not set' },
  ]);
});

test('validate names the place of a syntax error', () => {
  const { problems } = validatePraefectConfig('socket_path = "/s"\nlisten_addr = x\n');
  const [problem, ...others] = problems;

  assert.deepEqual([problem?.key, others], [[], []]);
  assert.match(problem?.message ?? '', /^line 2 column \d+: /);
});

// gitaly's validate named them; praefect's named nothing.
test('validate warns of unknown keys and of those without effect, which are no problems', () => {
  const { problems, warnings } = validatePraefectConfig(
    'socket_path = "/s"\nlisten_adr = "x"\n[logging]\ndir = "/log"\n' +
      '[failover]\nread_only_after_failover = true\n' +
      '[[virtual_storage]]\nname = "a"\nnode = [{ storage = "a", address = "unix:/a" }]\n',
  );

  assert.deepEqual(problems, []);
  assert.deepEqual(warnings, [
    'unknown configuration key "listen_adr", did you mean "listen_addr"? (line 2)',
    'configuration key "logging.dir" has no effect: the log is on standard output (line 4)',
    'configuration key "failover.read_only_after_failover" has no effect: removed in 14.0 (line 6)',
  ]);
});

test('validate names the place of a value of the wrong type', () => {
  const { problems } = validatePraefectConfig('socket_path = "/s"\nlisten_addr = 5\n');

  assert.match(problems[0]?.message ?? '', /^line 2 column 15: toml: cannot decode TOML integer into/);
});
