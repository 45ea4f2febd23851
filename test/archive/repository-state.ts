import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gitOutput } from '#testkit/repositories/init-repository';

/** All of a repository that an archive keeps, according to git. */
export interface RepositoryState {
  readonly references: string;
  readonly head: string;
  readonly objects: readonly string[];
  readonly config: string;
  readonly files: Readonly<Record<string, string>>;
}

const FILES = ['description', 'info/attributes', 'shallow'];

/** Returns the state of a repository: references, reachable objects, HEAD, config and hooks. */
export function stateOf(path: string): RepositoryState {
  const format = '--format=%(objectname) %(symref) %(refname)';
  const objects = gitOutput(path, ['rev-list', '--objects', '--all', '--no-object-names']);
  const files = FILES.filter((file) => existsSync(join(path, file)));
  return {
    references: gitOutput(path, ['for-each-ref', format]),
    head: headOf(path),
    objects: objects.split('\n').sort(),
    config: gitOutput(path, ['config', '--local', '--list']),
    files: Object.fromEntries([...files.map((file) => [file, read(join(path, file))]), ...hooksOf(path)]),
  };
}

function headOf(path: string): string {
  try {
    return gitOutput(path, ['symbolic-ref', '-q', 'HEAD']);
  } catch {
    return gitOutput(path, ['rev-parse', 'HEAD']);
  }
}

function hooksOf(path: string): [string, string][] {
  const hooks = join(path, 'custom_hooks');
  if (!existsSync(hooks)) return [];
  return readdirSync(hooks, { recursive: true, encoding: 'utf8' })
    .sort()
    .filter((name) => statSync(join(hooks, name)).isFile())
    .map((name) => [
      `custom_hooks/${name}`,
      `${statSync(join(hooks, name)).mode & 0o100} ${read(join(hooks, name))}`,
    ]);
}

function read(path: string): string {
  return readFileSync(path, 'latin1');
}
