/**
 * Checks the subjects of commits: of those since the first one that was written by these rules, or
 * of one message, as git's hook commit-msg does. Passes outside of a git checkout, and where that
 * first commit is not in the history.
 *
 *   node scripts/check-subjects.ts [--message FILE]
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { subjectProblem } from './commit-subject.ts';

/** Last commit before the rules. */
const BASE = '5fe6b76ed08c168551d625005cdbfe90150ccbda';

const { values } = parseArgs({ options: { message: { type: 'string' }, base: { type: 'string' } } });
const subjects =
  values.message === undefined ? committed(values.base ?? BASE) : [readSubject(values.message)];
const complaints = subjects.flatMap(({ name, subject }) => {
  const problem = subjectProblem(subject);
  return problem === undefined ? [] : [`${name}: ${subject}\n  ${problem}`];
});
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else if (values.message === undefined) console.log(`subjects: ${subjects.length} commits`);

interface Named {
  readonly name: string;
  readonly subject: string;
}

function committed(base: string): readonly Named[] {
  const { status, stdout } = spawnSync(
    'git',
    ['log', '--no-merges', '--format=%h %s', `${base}..HEAD`, '--'],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) return [];
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ name: line.slice(0, line.indexOf(' ')), subject: line.slice(line.indexOf(' ') + 1) }));
}

/** Returns the first line that is not a comment. */
function readSubject(file: string): Named {
  const lines = readFileSync(file, 'utf8').split('\n');
  return { name: 'commit-msg', subject: lines.find((line) => line !== '' && !line.startsWith('#')) ?? '' };
}
