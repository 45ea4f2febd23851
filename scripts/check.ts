/**
 * Runs the checks that need no server, two at a time, and prints the output of those that fail, so
 * that one run shows all that is to be mended.
 *
 *   node scripts/check.ts [PART …]
 *
 * A part is a script of package.json; default: all parts of `make check`. `make fix` repairs what
 * can be repaired: format, generated files, the list of safe expressions.
 */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/** The slowest ones first; the unit tests last, because they use all cores. */
const STATIC = ['sources', 'unused', 'types', 'lint', 'gen:check', 'format:check'];
const TESTS = ['test:fast'];
const AT_ONCE = 2;

/** Runs a script of package.json. Prints its output if it fails; returns its name then. */
async function failed(name: string): Promise<string[]> {
  const from = performance.now();
  const child = spawn('npm', ['run', '--silent', name], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<boolean>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code === 0));
  });
  const [output, errors, isGood] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  console.log(`${isGood ? '✔' : '✖'} ${name}: ${((performance.now() - from) / 1000).toFixed(1)} s`);
  if (!isGood) console.log(`${output}${errors}`);
  return isGood ? [] : [name];
}

async function main(names: readonly string[]): Promise<number> {
  const waiting = (names.length > 0 ? names : STATIC).values();
  const failures: string[] = [];
  const work = async (): Promise<void> => {
    for (const name of waiting) failures.push(...(await failed(name)));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (names.length === 0) for (const name of TESTS) failures.push(...(await failed(name)));
  if (failures.length === 0) return 0;
  console.log(`failed: ${failures.join(', ')}; make fix repairs format, generated files and expressions`);
  return 1;
}

process.exitCode = await main(process.argv.slice(2));
