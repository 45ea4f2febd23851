import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runGit } from '#testkit/repositories/run-git';
import { mayRead, PEOPLE, type Person, type Team, type Transport, type Workshop } from './team.ts';
import type { Expected, Refusal } from './weeks.ts';

/** Asserts that the server has these repositories, with exactly these references and objects. */
export async function checkContents(
  team: Team,
  workshop: Workshop,
  repositories: ReadonlyMap<string, Expected>,
): Promise<void> {
  const list = await team.ssh('ann', 'repo', 'list');
  assert.deepEqual(
    list.stdout.trim().split('\n'),
    ['hello', ...repositories.keys()].map((name) => `${name}.git`).sort(),
  );
  for (const [name, { head, references }] of repositories) {
    const found = await referencesOf(team, name);
    assert.deepEqual(found.references, new Map([...references].sort()), name);
    assert.equal(found.head, head, name);
    const clone = join(team.server.directory, 'mirrored');
    const { code, stderr } = await team.git(
      'ann',
      'clone',
      '-q',
      '--mirror',
      team.url('ann', 'ssh', name),
      clone,
    );
    assert.equal(code, 0, stderr);
    await runGit(['-C', clone, 'fsck', '--strict', '--no-dangling']);
    const expected = await workshop.objectsOf([...references.values()]);
    assert.equal(await workshop.objectsOf(['--all'], clone), expected, `objects of ${name}`);
    rmSync(clone, { recursive: true });
  }
}

/** Returns all references by name, and the one that HEAD names. */
export async function referencesOf(team: Team, name: string): Promise<Expected> {
  const { code, stderr, stdout } = await team.git(
    'ann',
    'ls-remote',
    '--symref',
    team.url('ann', 'http', name),
  );
  assert.equal(code, 0, stderr);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.split('\t'));
  const head = lines.find(([value]) => value?.startsWith('ref: '))?.[0]?.slice('ref: '.length) ?? '';
  const references = lines.filter(([, reference]) => reference?.startsWith('refs/'));
  return { head, references: new Map(references.map(([oid = '', reference = '']) => [reference, oid])) };
}

/** Asserts that each person reads what was given to them and nothing else, in every way. */
export async function checkReaders(team: Team, names: readonly string[]): Promise<void> {
  for (const person of PEOPLE) {
    const expected = names.filter((name) => mayRead(person, name));
    for (const transport of team.transports(person)) {
      const read = await filterOf(names, (name) => mayFetch(team, person, transport, name));
      assert.deepEqual(read, expected, `${person} by ${transport}`);
    }
    await checkPages(team, person, names, expected);
    if (!team.transports(person).includes('ssh')) continue;
    const { stdout } = await team.ssh(person, 'repo', 'list');
    const listed = stdout.split('\n').filter((line) => names.includes(line.replace(/\.git$/, '')));
    assert.deepEqual(listed, expected.map((name) => `${name}.git`).sort(), `repo list of ${person}`);
  }
  await checkPages(team, undefined, names, []);
}

const PAGES: Readonly<Record<string, string>> = {
  'the page of files': '-/files/?format=json',
  'a raw file': '-/raw/file',
  'an archive': '-/archive/?as=tar.gz',
  'the page of commits': '-/commits/?format=json',
  'the page of branches': '-/branches?format=json',
};

async function checkPages(
  team: Team,
  person: Person | undefined,
  names: readonly string[],
  expected: readonly string[],
): Promise<void> {
  const seen = `${person ?? 'nobody'} sees`;
  for (const [what, page] of Object.entries(PAGES)) {
    const found = await filterOf(names, async (name) => {
      const response = await team.request(person, `-/console/repository/${name}.git/${page}`);
      await response.arrayBuffer();
      return response.ok;
    });
    assert.deepEqual(found, expected, `${seen} ${what}`);
  }
  const listed = await team.request(person, '-/console/repositories?format=json');
  const text = await listed.text();
  assert.deepEqual(
    names.filter((name) => text.includes(`"${name}.git"`)),
    expected,
    `${seen} the list`,
  );
  const batch = { operation: 'download', objects: [{ oid: 'a'.repeat(64), size: 1 }] };
  const files = await filterOf(names, async (name) => {
    const init = {
      method: 'POST',
      body: JSON.stringify(batch),
      headers: { accept: LFS_TYPE, 'content-type': LFS_TYPE },
    };
    const response = await team.request(person, `${name}.git/info/lfs/objects/batch`, init);
    await response.arrayBuffer();
    return response.ok;
  });
  assert.deepEqual(files, expected, `${seen} files of LFS`);
}

const LFS_TYPE = 'application/vnd.git-lfs+json';

async function mayFetch(team: Team, person: Person, transport: Transport, name: string): Promise<boolean> {
  const { code, stdout } = await team.git(person, 'ls-remote', team.url(person, transport, name));
  assert.equal(stdout === '', code !== 0, name);
  return code === 0;
}

async function filterOf(
  names: readonly string[],
  holds: (name: string) => Promise<boolean>,
): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) if (await holds(name)) found.push(name);
  return found;
}

/** A line of the access log. */
interface Line {
  readonly operation: string;
  readonly outcome: string;
  readonly reason?: string;
  readonly user?: string;
  readonly repository?: string;
}

/** Asserts that each refused push has a line of its own, with its user and reason. */
export function checkRefusals(log: string, refusals: readonly Refusal[]): void {
  const lines = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
    .filter(({ operation, outcome }) => operation === 'push' && outcome === 'refused');
  const missing: string[] = [];
  for (const { reason, repository, user } of refusals) {
    const index = lines.findIndex(
      (line) => line.user === user && line.repository === repository && reason.test(line.reason ?? ''),
    );
    if (index === -1) missing.push(`${user} ${repository} ${reason}`);
    else lines.splice(index, 1);
  }
  const others = lines.map(({ reason, repository, user }) => `${user} ${repository} ${reason}`);
  assert.deepEqual(missing, [], others.join('\n'));
}

/** Asserts that none of the texts has a secret. */
export function checkSecrets(secrets: readonly string[], texts: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(texts)) {
    assert.ok(text.length > 0, name);
    for (const [index, secret] of secrets.entries())
      assert.equal(text.includes(secret), false, `secret ${index} is in ${name}`);
  }
}
