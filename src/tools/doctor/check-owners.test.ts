import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Finding } from './finding.ts';
import { diagnose } from './run-doctor.ts';

const NOBODY = 65_534;
const needsRoot = { skip: process.getuid?.() !== 0 && 'needs root' };

/** The directory of a server of another user. */
function place() {
  const root = mkdtempSync(join(tmpdir(), 'owners-'));
  const repositories = join(root, 'repositories');
  mkdirSync(join(repositories, 'a.git'), { recursive: true });
  writeFileSync(join(repositories, 'a.git/HEAD'), 'ref: refs/heads/main\n');
  for (const path of ['', 'repositories', 'repositories/a.git', 'repositories/a.git/HEAD'])
    chownSync(join(root, path), NOBODY, NOBODY);
  return {
    root,
    repositories,
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Returns what is wrong with the directory, and not with the machine. */
async function findingsOf(directory: string): Promise<Finding[]> {
  const findings = await Array.fromAsync(diagnose(directory));
  return findings.filter(({ subject, level }) => /directory|storage/.test(subject) && level !== 'ok');
}

test("root's doctor names files of another user and the command that mends them", needsRoot, async () => {
  using at = place();
  const [repository, file] = [join(at.repositories, 'rootmade.git'), join(at.repositories, 'a.git/config')];
  assert.deepEqual(await findingsOf(at.root), []);

  writeFileSync(file, '', { mode: 0o644 });
  const readable = await findingsOf(at.root);
  chmodSync(file, 0o640);
  chownSync(file, 0, NOBODY);
  const readableByGroup = await findingsOf(at.root);
  mkdirSync(repository, { mode: 0o700 });
  const unusable = await findingsOf(at.root);

  const fix = `chown -R ${NOBODY}:${NOBODY} ${at.root}`;
  const text = `belong to another user than ${at.root} (id ${NOBODY})`;
  assert.deepEqual(readable, [{ subject: 'directory', level: 'warning', message: `${file} ${text}`, fix }]);
  assert.deepEqual(readableByGroup, readable);
  assert.deepEqual(unusable, [
    {
      subject: 'directory',
      level: 'error',
      message: `${repository} ${text}, who cannot use them`,
      fix,
    },
  ]);
});

test('a user who may not read a directory gets findings with its path', needsRoot, async () => {
  using at = place();
  const closed = join(at.repositories, '+gitaly');
  mkdirSync(closed, { mode: 0o700 });
  chownSync(closed, 0, 0);
  chmodSync(at.root, 0o755);

  process.setegid?.(NOBODY);
  process.seteuid?.(NOBODY);
  const findings = await findingsOf(at.root).finally(() => {
    process.seteuid?.(0);
    process.setegid?.(0);
  });

  assert.ok(findings.length > 0);
  for (const { level, message, fix } of findings) {
    assert.equal(level, 'error', message);
    assert.ok(message.includes(closed), message);
    assert.ok(fix, message);
  }
});
