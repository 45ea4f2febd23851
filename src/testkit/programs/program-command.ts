import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ProgramName } from '#cli/programs/programs';

const SOURCES = join(import.meta.dirname, '../../cli');
const BUILT = join(import.meta.dirname, '../../../dist/cli');

/** The options for the heap that programs have in `bin/`. */
export const HEAP_OPTIONS = ['--max-semi-space-size=8', '--heap-growing-percent=50'] as const;

/**
 * Returns the arguments of `node` that run a program. The runner of the tests builds the programs
 * and sets `TEST_PROGRAMS=built`: they start with a third of the CPU time. Without it they run from
 * source, so that a test that is run alone sees the last change.
 */
export function programCommand(name: ProgramName): string[] {
  const built = join(BUILT, `${name}.js`);
  return isBuilt() && existsSync(built) ? [...HEAP_OPTIONS, built] : sourceCommand(name);
}

/**
 * Returns the options of `node` for a script that imports modules of the project: those that the
 * runner of the tests has built, or without it the sources.
 */
export function moduleOptions(): string[] {
  return isBuilt() ? [] : ['--conditions=source'];
}

function isBuilt(): boolean {
  return process.env.TEST_PROGRAMS === 'built';
}

/** Returns the arguments of `node` that run a program from source. */
export function sourceCommand(name: ProgramName): string[] {
  return [...HEAP_OPTIONS, '--conditions=source', join(SOURCES, `${name}.ts`)];
}
