/**
 * Generates `src/wire/gen` from `proto/`.
 *
 * node --conditions=source scripts/generate-wire.ts writes the files
 * node --conditions=source scripts/generate-wire.ts --check compares only
 *
 * Needs only the development dependencies, no network.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const GENERATED = 'src/wire/gen';
/** Has the hash of the files that agreed last. */
const CHECKED = join(ROOT, '.cache/wire-checked');

/** Runs buf, which writes to `<base>/src/wire/gen`; that directory is emptied first. */
function generate(base: string): void {
  const buf = join(ROOT, 'node_modules/@bufbuild/buf/bin/buf');
  const run = spawnSync(process.execPath, [buf, 'generate', '--output', base], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}` },
  });
  if (run.error) throw new Error(`cannot start buf at ${buf}; run npm ci`, { cause: run.error });
  if (run.status !== 0)
    throw new Error(
      `buf generate failed (${run.signal ?? `exit status ${run.status}`}); its output is above`,
    );
}

/**
 * Returns the content of every file below `directory` by relative path; empty if there is no such
 * directory.
 */
async function readTree(directory: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(directory.length + 1), await readFile(path));
  }
  return files;
}

/** Returns one line per file that is missing, obsolete or different. */
function differences(committed: Map<string, Buffer>, fresh: Map<string, Buffer>): string[] {
  const lines: string[] = [];
  for (const name of [...new Set([...committed.keys(), ...fresh.keys()])].sort()) {
    const [old, now] = [committed.get(name), fresh.get(name)];
    if (!old) lines.push(`missing    ${GENERATED}/${name}`);
    else if (!now) lines.push(`left over  ${GENERATED}/${name}`);
    else if (!old.equals(now)) lines.push(`different  ${GENERATED}/${name}`);
  }
  return lines;
}

/** Returns a hash of everything that the result of {@link check} depends on. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  for (const name of ['buf.gen.yaml', 'buf.yaml', 'package-lock.json', 'scripts/generate-wire.ts'])
    hash.update(await readFile(join(ROOT, name)));
  for (const folder of ['proto', GENERATED])
    for (const [name, bytes] of [...(await readTree(join(ROOT, folder)))].sort())
      hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  return hash.digest('hex');
}

/** Compares, unless the same files have been compared before. */
async function checkOnce(): Promise<number> {
  const found = await fingerprint();
  if ((await readFile(CHECKED, 'utf8').catch(() => '')) === found) return 0;
  const code = await check();
  await mkdir(dirname(CHECKED), { recursive: true });
  if (code === 0) await writeFile(CHECKED, found);
  return code;
}

async function check(): Promise<number> {
  const base = await mkdtemp(join(tmpdir(), 'gitaly-wire-'));
  try {
    generate(base);
    const fresh = await readTree(join(base, GENERATED));
    if (fresh.size === 0) throw new Error('buf generated no files at all; is proto/ empty?');
    const lines = differences(await readTree(join(ROOT, GENERATED)), fresh);
    if (lines.length === 0) {
      console.error(`${GENERATED} agrees with proto/ (${fresh.size} files)`);
      return 0;
    }
    console.error(`${GENERATED} does not agree with proto/:\n${lines.map((line) => `  ${line}`).join('\n')}`);
    console.error(
      'Run "npm run gen" and commit the result. Files below src/wire/gen are never edited by hand.',
    );
    return 1;
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

const [mode, ...rest] = process.argv.slice(2);
if (rest.length > 0 || (mode !== undefined && mode !== '--check')) {
  console.error('usage: generate-wire.ts [--check]');
  process.exitCode = 2;
} else if (mode === '--check') {
  process.exitCode = await checkOnce();
} else {
  generate(ROOT);
}
