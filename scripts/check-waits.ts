/**
 * Checks that each wait of a number of milliseconds in tests has a comment, in its line or above
 * it, that gives the reason not to wait for a condition (`until`, `never`, `steady` of
 * testkit/until.ts), and that there are not more of them than before. In the source, a difference
 * of times that may be the delay of a timer has to come from `timeLeftMs`, as timers warn of
 * negative ones. It fails when it finds no file.
 *
 *   node scripts/check-waits.ts [ROOT]
 */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Largest number of waits. Lower it when some go. */
const MAX_WAITS = 69;

const PLACES = '{src,test,scripts}/**/*.ts';
const IS_TEST = /\.test\.ts$|^test\/|^src\/testkit\//;
/** `delay(50)`, `sleep(2 * STEP_MS)`, `setTimeout(20)`, `setTimeout(callback, 20)`: with a digit. */
const WAIT = /\b(?:(?:delay|sleep|setTimeout)\(\d|setTimeout\([^,`'\d][^,`']*, \d)/;

/** The time left until a moment, and a difference in the call of a timer. */
const BARE_DELAY = /- (?:performance|Date)\.now\(\)|\b(?:delay|sleep|setTimeout|timeout)\([^;]*\.now\(\) - /;
const HELPER = 'src/base/async/time-left.ts';

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const all = globSync(PLACES, { cwd: root }).sort();
const files = all.filter((file) => IS_TEST.test(file));
const sources = all.filter((file) => file.startsWith('src/') && !IS_TEST.test(file) && file !== HELPER);
const complaints: string[] = files.length === 0 ? ['saw no file'] : [];
let waits = 0;
for (const file of sources)
  for (const [index, line] of readFileSync(join(root, file), 'utf8').split('\n').entries())
    if (BARE_DELAY.test(line))
      complaints.push(`${file}:${index + 1}: use timeLeftMs of #base/async/time-left`);
for (const file of files) {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  for (const [index, line] of lines.entries()) {
    // In a string there is the program of a test.
    if (!WAIT.test(line) || /^\s*(?:\/\/|\*)|[`'].*(?:delay|sleep|setTimeout)\(/.test(line)) continue;
    waits++;
    if (!/\/\/ /.test(line) && !/^\s*\/\/ /.test(lines[index - 1] ?? ''))
      complaints.push(`${file}:${index + 1}: wait for a condition, or give the reason in a comment`);
  }
}
if (waits > MAX_WAITS) complaints.push(`${waits} waits by number; the limit is ${MAX_WAITS}`);
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else console.log(`waits: ${waits} in ${files.length} files`);
