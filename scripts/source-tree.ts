/** The files of the project for its checks, which share what was read and parsed. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Program, parseSync } from 'oxc-parser';

/** The root of the project. */
export const PROJECT = join(import.meta.dirname, '..');

/** The result of a check. */
export interface Findings {
  /** Each is a line: `file:line: reason`. */
  readonly complaints: readonly string[];
  /** Printed if there are no complaints. */
  readonly summary: string;
}

/** A tree of files, each of which is read and parsed once. */
export class SourceTree {
  /** Absolute path. */
  readonly root: string;
  /** False for the trees of tests: lists of exceptions are complete only for the project. */
  readonly isProject: boolean;
  readonly #texts = new Map<string, string>();
  readonly #programs = new Map<string, Program>();

  constructor(root: string) {
    this.root = root;
    this.isProject = root === PROJECT;
  }

  /** Returns the paths of files below the root, sorted. */
  files(patterns: string | readonly string[], exempt?: RegExp): string[] {
    const found = globSync(patterns, { cwd: this.root });
    return found.filter((file) => exempt?.test(file) !== true).sort();
  }

  text(file: string): string {
    const text = this.#texts.get(file) ?? readFileSync(join(this.root, file), 'utf8');
    this.#texts.set(file, text);
    return text;
  }

  /** Returns the syntax tree of a file. @throws {Error} if it is no TypeScript. */
  program(file: string): Program {
    const known = this.#programs.get(file);
    if (known !== undefined) return known;
    const { errors, program } = parseSync(file, this.text(file));
    if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
    this.#programs.set(file, program);
    return program;
  }
}
