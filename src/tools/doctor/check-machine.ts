import { existsSync, readFileSync, statSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import { messageOf } from '#base/gitaly-error';
import type { GitCapability } from '#git/command/capabilities';
import { Git } from '#git/command/git';
import { MINIMUM_NODE } from '#platform/process/minimum-node';
import { type Finding, failure, ok, warning } from './finding.ts';

/** A server under load uses one descriptor per connection and several per running git. */
const DESCRIPTORS = { wanted: 8192, needed: 1024 };
/** An idle server uses 200 MB; each running git adds to that. */
const MEMORY = { wanted: 1 << 30, needed: 256 << 20 };
/** A file of this package, as old as its installation. */
const MANIFEST = new URL('../../../package.json', import.meta.url);
const DAY_MS = 24 * 60 * 60 * 1000;

/** Features of newer git versions that are worth an update. */
const WORTH_AN_UPDATE: readonly { readonly capability: GitCapability; readonly what: string }[] = [
  { capability: 'catFileNul', what: 'names with line feeds (2.42)' },
  { capability: 'attrTree', what: '.gitattributes outside of the top directory (2.43)' },
  { capability: 'packReuseMulti', what: 'fast clones of repositories with several packs (2.44)' },
  { capability: 'reftable', what: 'the reftable format (2.45)' },
  { capability: 'symrefUpdate', what: 'HEAD of reftable repositories (2.46)' },
  { capability: 'lastModified', what: 'fast last commits of directories (2.52)' },
];

/** Checks Node, git, memory, descriptors and the clock. */
export async function* checkMachine(gitBinary: string): AsyncGenerator<Finding, void, undefined> {
  yield checkNode();
  yield* checkGit(gitBinary);
  yield checkMemory();
  yield* checkDescriptors();
  yield checkClock(new Date());
}

function checkNode(): Finding {
  const { version } = process;
  if (Number(/^v(\d+)/.exec(version)?.[1]) >= MINIMUM_NODE) return ok('node', version);
  return failure('node', `${version} is too old`, `Install Node ${MINIMUM_NODE} or newer.`);
}

async function* checkGit(binary: string): AsyncGenerator<Finding, void, undefined> {
  try {
    const git = await Git.start({ binary });
    yield ok('git', `${git.version} (${git.binary})`);
    const missing = WORTH_AN_UPDATE.filter(({ capability }) => !git.capabilities[capability]).map(
      ({ what }) => what,
    );
    if (missing.length > 0) {
      const fix = 'If you need these, install a newer git and set bin_path in [git].';
      yield warning('git', `works, but does not support: ${missing.join(', ')}`, fix);
    }
    if (git.spawner.fallbackReason !== undefined) {
      const fix =
        process.platform === 'linux'
          ? 'Install the optional packages (npm install --include=optional); nothing else needs them.'
          : 'Run a server with large caches on Linux.';
      yield warning('git', `starts slowly: ${git.spawner.fallbackReason}`, fix);
    }
  } catch (error) {
    yield failure('git', messageOf(error), 'Install git 2.39 or newer, or set bin_path in [git].');
  }
}

function checkMemory(): Finding {
  const [total, available] = [totalmem(), availableMemory()];
  const text = `${mebibytes(available)} of ${mebibytes(total)} available`;
  if (available < MEMORY.needed)
    return failure('memory', text, 'Free memory, or add more: large pushes will fail.');
  if (total < MEMORY.wanted) return warning('memory', text, 'Large repositories need 1 GiB or more.');
  return ok('memory', text);
}

/** Returns the available memory; on Linux it includes reclaimable caches. */
function availableMemory(): number {
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readProc('/proc/meminfo'))?.[1];
  return kilobytes === undefined ? freemem() : Number(kilobytes) * 1024;
}

function* checkDescriptors(): Generator<Finding> {
  const limit = /^Max open files\s+(\S+)/m.exec(readProc('/proc/self/limits'))?.[1];
  if (limit === undefined) return; // another system
  const count = limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
  const fix = `Raise it to ${DESCRIPTORS.wanted} or more: "ulimit -n", or LimitNOFILE in the service's unit.`;
  if (count < DESCRIPTORS.needed) yield failure('descriptors', `${limit} open files at most`, fix);
  else if (count < DESCRIPTORS.wanted) yield warning('descriptors', `${limit} open files at most`, fix);
  else yield ok('descriptors', `${limit} open files at most`);
}

/** Checks the clock: tokens are signed with the time and valid for 30 s. @param now for tests */
export function checkClock(now: Date): Finding {
  const installed = statSync(MANIFEST).mtime;
  if (now.getTime() >= installed.getTime() - DAY_MS) return ok('clock', now.toISOString());
  return failure(
    'clock',
    `${now.toISOString()} is before this program was installed`,
    'Set the clock, and synchronize it with NTP: tokens are valid for 30 s.',
  );
}

function readProc(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / (1 << 20))} MiB`;
}
