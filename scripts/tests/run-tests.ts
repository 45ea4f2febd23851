// Runs the tests of a class (classes.ts):
//
//   node scripts/tests/run-tests.ts CLASS [--changed[=COMMIT]] [--record] [OPTION …] [PATH …]
//
// Other options are those of node.
//
// A path is that of a file, or of a directory with files of the class. `--module=git/diff` selects
// the files in src/git/diff.
//
// Files share processes, except those with the line "// Own process: REASON" at their head. A file
// with a failing test is run once more, alone, after all others, with the same seed: what fails
// only among them is named at the end and does not fail the run, unless there are more than two
// such files. Files that search for lost data are not run again. With CI=1, a skipped test whose
// reason is not in skip-reasons.ts fails the run.

import { spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { isRecorded, writeRecord } from '../records.ts';
import { changedFiles, readSources } from './changed-tests.ts';
import { CLASSES } from './classes.ts';
import { commitSeed } from './commit-seed.ts';
import { Durations } from './durations.ts';
import { executingTests, sourceChanges } from './executing-tests.ts';
import { FlakyFiles } from './flaky-files.ts';
import { interruption } from './interruption.ts';
import { nearestTests } from './nearest-tests.ts';
import { filesOf, runGroups } from './run-groups.ts';
import { isSelection, selectFiles } from './selected-files.ts';
import { makeTemporaryDirectory } from './temporary-directory.ts';

/** The option that records what each file of tests executes, for later choices of `--changed`. */
const RECORD = '--record';

function isContinuous(): boolean {
  return /^(?:1|true)$/.test(process.env.CI ?? '');
}

/** Reports whether the tested git has no reftable (2.45). */
function isOldGit(): boolean {
  const [, minor] = /^git version 2\.(\d+)/.exec(spawnSync('git', ['version']).stdout.toString()) ?? [];
  return minor !== undefined && Number(minor) < 45;
}

/** Reports whether `dist/` is as new as the sources, so that tests can run the programs in it. */
function isBuilt(): boolean {
  const built = statSync('dist/.built', { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = globSync(['src/**', 'package.json', 'tsconfig*.json']);
  return sources.every((file) => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) <= built);
}

/** Chooses tests of the changes since a commit. */
function testsOfChange(tests: ReadonlySet<string>, commit: string): ReadonlySet<string> {
  const files = changedFiles(commit);
  const sources = readSources();
  const found = executingTests(sources, files, sourceChanges(sources, files, commit));
  const affected = new Map([...found].filter(([file]) => tests.has(file)));
  const chosen = nearestTests(affected, files, process.env.TEST_SEED ?? '');
  if (chosen.size < affected.size)
    console.log(`The nearest ${chosen.size} of ${affected.size} tests of what has changed.`);
  return chosen;
}

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const groups = CLASSES[name];
  if (groups === undefined) {
    console.error(`run-tests: name a class of tests: ${Object.keys(CLASSES).join(', ')}`);
    return 2;
  }
  const change = args.find((arg) => /^--changed(?:=|$)/.test(arg));
  const isRecording = args.includes(RECORD);
  const names = args.filter(isSelection);
  const selection = selectFiles(
    groups.flatMap((group) => filesOf(group, process.cwd())),
    names,
  );
  if ('problem' in selection) {
    console.error(`run-tests ${name}: ${selection.problem}`);
    return 2;
  }
  const startMs = performance.now();
  process.env.TEST_SEED ||= String(commitSeed(process.cwd()));
  const only =
    change === undefined ? selection.files : testsOfChange(selection.files, change.split('=')[1] ?? 'HEAD');
  const directory = makeTemporaryDirectory();
  try {
    const { figures, hasPassed } = await runGroups(groups, {
      cwd: process.cwd(),
      env: {
        ...process.env,
        TMPDIR: directory.path,
        // Programs from source report what they execute of it.
        ...(isRecording ? { TEST_RECORD: '1' } : isBuilt() && { TEST_PROGRAMS: 'built' }),
      },
      nodeOptions: args.filter((arg) => !isSelection(arg) && arg !== change && arg !== RECORD),
      isWanted: (file) => only.has(file),
      isVerbose: names.length > 0 && only.size < 4,
      isContinuous: isContinuous(),
      isOldGit: isOldGit(),
      durations: new Durations(),
      flakyFiles: new FlakyFiles(),
      signal: interruption(),
      print: console.log,
    });
    const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
    const isWhole = names.length === 0 && change === undefined && !isRecording;
    if (isWhole && isRecorded(name)) writeRecord(name, hasPassed, [figures, `${minutes} minutes`]);
    return hasPassed ? 0 : 1;
  } finally {
    const left = directory.remove();
    if (left.length > 0) console.log(`\nleft in the temporary directory: ${left.join(' ')}`);
    const minutes = (performance.now() - startMs) / 60_000;
    console.log(
      `\n${minutes.toFixed(1)} minutes. TEST_SEED=${process.env.TEST_SEED} repeats the random choices.`,
    );
  }
}

process.exitCode = await main(process.argv.slice(2));
