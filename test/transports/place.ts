import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import type { Origin } from './origin.ts';
import type { Protocol, Step, TransportCase } from './steps.ts';

/** A repository that a client reaches by a URL. */
export interface Place {
  readonly url: string;
  /** Path of the repository. */
  readonly repository: string;
  /** Empty directory of the client. */
  readonly client: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Played {
  /** Exit code, output, and lines of the remote side, of each command. */
  readonly commands: readonly string[];
  readonly client: Readonly<Record<string, readonly string[]>>;
  readonly server: Readonly<Record<string, readonly string[]>>;
}

const DATE = '1610000000 +0000';
const ENVIRONMENT = { ...GIT_ENVIRONMENT, GIT_AUTHOR_DATE: DATE, GIT_COMMITTER_DATE: DATE };
/** git runs no maintenance, whose time is not part of a case. */
const QUIET = ['-c', 'gc.auto=0', '-c', 'maintenance.auto=false'];

/** Runs the commands of a case, and returns all that must not depend on the transport. */
export async function play(
  { steps }: TransportCase,
  place: Place,
  { origin, protocol, objectFormat }: { origin: Origin; protocol: Protocol; objectFormat: string },
): Promise<Played> {
  mkdirSync(place.client);
  const url = place.url.replace(/\.git$/, '');
  // FETCH_HEAD has it without its end and its user.
  const withoutPlace = (text: string): string =>
    [url, url.replace(/\/\/\w+@/, '//'), place.repository].reduce(
      (shorter, each) => shorter.replaceAll(each, 'PLACE'),
      text,
    );
  const commands: string[] = [];
  for (const step of steps) {
    const args = [...QUIET, '-c', `protocol.version=${protocol}`, ...argumentsOf(step, place, origin)];
    const { code, stdout, stderr } = await run('git', args, {
      cwd: { client: place.client, origin: origin.path, server: place.repository }[step.at],
      env: { ...ENVIRONMENT, GIT_DEFAULT_HASH: objectFormat, ...place.env, ...step.env },
      input: step.input,
    });
    const remote = stderr.split('\n').filter((line) => /^remote:|^ ! \[/.test(line));
    commands.push(withoutPlace([`${step.args.join(' ')}: ${code}`, stdout, ...remote].join('\n')));
  }
  return {
    commands,
    client: await stateOf(place.client, withoutPlace),
    server: await stateOf(place.repository, withoutPlace),
  };
}

function argumentsOf({ args }: Step, { url }: Place, origin: Origin): string[] {
  return args.map((each) =>
    each
      .replaceAll('URL', url)
      .replaceAll(/\{([a-z0-9/~:.]+(?:\^\{\w+\})?)\}/g, (_, name) => origin.oid(name)),
  );
}

/** Returns references, objects and shallow commits of a repository, each sorted. */
async function stateOf(
  path: string,
  withoutPlace: (text: string) => string,
): Promise<Record<string, string[]>> {
  const isBare = existsSync(join(path, 'objects'));
  const directory = isBare ? path : join(path, '.git');
  if (!existsSync(directory)) return {};
  const lines = async (...args: string[]): Promise<string[]> => {
    const { code, stdout } = await run('git', args, { cwd: path, env: ENVIRONMENT });
    return [`exit code ${code}`, ...stdout.split('\n').sort()];
  };
  const file = (name: string): string[] => {
    const at = join(directory, name);
    return existsSync(at) ? withoutPlace(readFileSync(at, 'utf8')).split('\n').sort() : [];
  };
  const [references, objects, reachable] = await Promise.all([
    lines('for-each-ref', '--format=%(refname) %(objectname) %(symref)'),
    lines('cat-file', '--batch-all-objects', '--batch-check', '--unordered'),
    lines('rev-list', '--objects', '--all', '--missing=print'),
  ]);
  return {
    references,
    objects,
    reachable,
    head: file('HEAD'),
    shallow: file('shallow'),
    fetched: file('FETCH_HEAD'),
  };
}
