import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { messageOf } from '#base/gitaly-error';
import { JsonFields } from '#base/json-fields';
import { withoutOuterRepository } from '#git/command/outer-repository';

/** A build of a server: a folder with the program `gitaly` and its helpers. */
export interface ServerBuild {
  readonly programs: string;
  /** True for this implementation, which needs no settings for its helpers. */
  readonly isOurs: boolean;
  /** True for the code of this process. */
  readonly isThis: boolean;
  /** Returns the command of a program; that of this installation needs no launcher. */
  command(program: 'gitaly' | 'praefect'): readonly string[];
}

/** Choice of the build, from the environment. */
export interface BuildChoice {
  /** `GITALY_SERVER_VERSION`: a folder, a release without `v`, a branch, or a commit. */
  readonly version: string | undefined;
  /** `GITALY_REPO_URL`: the repository with the releases, branches and commits. */
  readonly repositoryUrl: string | undefined;
}

const OWN_PROGRAMS = fileURLToPath(new URL('../../../bin', import.meta.url));
/** A build of Gitaly compiles its own git. */
const BUILD_LIMIT_MS = 60 * 60_000;
const RELEASE = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/;
/** Location of the programs of a build: with Gitaly's Makefile, and with this project's. */
const PROGRAM_FOLDERS = ['_build/bin', 'bin'];

const execute = promisify(execFile);

/**
 * Finds the build to run, and makes it first if that was not done before. What is made is kept in
 * `cache`, under the name of its version.
 *
 * @throws {Error} that shows what to set or to run
 */
export async function serverBuild(
  choice: BuildChoice,
  cache: string,
  signal: AbortSignal,
): Promise<ServerBuild> {
  const { version, repositoryUrl } = choice;
  if (version === undefined || version === '') return ownBuild();
  const folder = resolve(version);
  if (existsSync(folder) && (await stat(folder)).isDirectory()) return programsIn(folder, version);
  if (version.startsWith('-') || version.includes('/../'))
    throw new Error(`GITALY_SERVER_VERSION ${version} is no folder, release, branch or commit`);

  const place = join(cache, encodeURIComponent(version));
  if (existsSync(place)) return programsIn(place, version);
  const draft = `${place}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  try {
    if (repositoryUrl) await buildFromSource(repositoryUrl, version, { folder: draft, signal });
    else if (RELEASE.test(version)) await installRelease(version, { folder: draft, signal });
    else {
      throw new Error(
        `GITALY_SERVER_VERSION ${version} is no folder and no release: set GITALY_REPO_URL to the ` +
          'repository it is in',
      );
    }
    await rename(draft, place);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return programsIn(place, version);
}

/** Returns this installation. Its programs start with the Node of this process. */
function ownBuild(): ServerBuild {
  return {
    programs: OWN_PROGRAMS,
    isOurs: true,
    isThis: true,
    command: (program) => {
      const entry = join(OWN_PROGRAMS, `../dist/cli/${program}.js`);
      return existsSync(entry)
        ? [process.execPath, `--title=${program}`, entry]
        : [join(OWN_PROGRAMS, program)];
    },
  };
}

/** Where a build is made, and what ends it. */
interface BuildPlace {
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Installs a release of ours from npm. */
async function installRelease(version: string, place: BuildPlace): Promise<void> {
  const { folder } = place;
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder, `gitaly-ts@${version}`], place);
}

async function buildFromSource(url: string, version: string, place: BuildPlace): Promise<void> {
  const revision = RELEASE.test(version) ? `v${version}` : version;
  const git = (...args: string[]): Promise<void> => run('git', args, place);
  await git('init', '--quiet');
  await git('fetch', '--quiet', '--depth=1', '--end-of-options', url, revision);
  await git('checkout', '--quiet', 'FETCH_HEAD');
  // Ours has this target, too; Gitaly's first one makes everything.
  await run('make', existsSync(join(place.folder, 'package.json')) ? ['build'] : [], place);
}

function programsIn(folder: string, version: string): ServerBuild {
  for (const name of [...PROGRAM_FOLDERS, 'node_modules/gitaly-ts/bin']) {
    const programs = join(folder, name);
    if (existsSync(join(programs, 'gitaly')))
      return {
        programs,
        isOurs: existsSync(join(programs, 'gitaly-ts')),
        isThis: false,
        command: (program) => [join(programs, program)],
      };
  }
  throw new Error(
    `GITALY_SERVER_VERSION ${version}: ${folder} has no program gitaly in ${PROGRAM_FOLDERS.join(' or ')}. ` +
      'Run "make" there, or remove the folder if this program made it',
  );
}

/** Runs a program. @throws {Error} with the last lines of its output */
async function run(
  program: string,
  args: readonly string[],
  { folder: cwd, signal }: BuildPlace,
): Promise<void> {
  const env = withoutOuterRepository(process.env);
  try {
    await execute(program, args, { cwd, env, signal, timeout: BUILD_LIMIT_MS, maxBuffer: 1 << 30 });
  } catch (error) {
    const output = JsonFields.of(error)?.text('stderr')?.trim().slice(-2000); // execFile adds it
    throw new Error(`${program} ${args.join(' ')}: ${output || messageOf(error)}`, { cause: error });
  }
}
