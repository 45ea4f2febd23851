import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BackupManifest, decodeManifest, encodeManifest } from './manifest.ts';

const STEP = { bundlePath: 'a/001.bundle', refPath: 'a/001.refs', customHooksPath: 'a/001.tar' };

const MANIFESTS: readonly BackupManifest[] = [
  { empty: true, nonExistent: true, objectFormat: '', headReference: '', steps: [] },
  { empty: true, nonExistent: false, objectFormat: 'sha256', headReference: '', steps: [STEP] },
  {
    empty: false,
    nonExistent: false,
    objectFormat: 'sha1',
    headReference: 'refs/heads/it\'s \\ "quoted"\u007f',
    steps: [STEP, { ...STEP, previousRefPath: 'a/001.refs' }],
  },
];

// A backup whose name has U+007F could not be restored: JSON leaves it as it is, TOML forbids it.
test('a manifest is read as it was written', () => {
  for (const manifest of MANIFESTS) assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest);
});

test('a manifest without fields describes an existing repository without steps', () => {
  assert.deepEqual(decodeManifest(''), {
    empty: undefined,
    nonExistent: false,
    objectFormat: '',
    headReference: '',
    steps: [],
  });
});

test('a manifest with fields of another kind, or keys outside the bucket, is refused', () => {
  const step = "[[steps]]\nbundle_path = 'b'\nref_path = 'r'\ncustom_hooks_path = 'c'\n";
  assert.equal(decodeManifest(step).steps.length, 1);
  for (const document of [
    'empty = 1',
    "non_existent = 'no'",
    'object_format = true',
    'head_reference = 1',
    'steps = 1',
    'steps = [1]',
    'no TOML',
    step.replace("bundle_path = 'b'\n", ''),
    step.replace("'r'", '1'),
    ...['b', 'r', 'c'].map((key) => step.replace(`'${key}'`, "'../x'")),
    `${step}previous_ref_path = '../x'\n`,
  ])
    assert.throws(() => decodeManifest(document), document);
});
