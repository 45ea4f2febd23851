import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { PeopleSite } from '../people/people-site.ts';

const TYPES: Readonly<Record<string, readonly string[]>> = {
  ed25519: ['-t', 'ed25519'],
  ecdsa: ['-t', 'ecdsa', '-b', '384'],
  rsa: ['-t', 'rsa', '-b', '2048'],
};

test('SSH signatures of commits are verified with the keys of people, as by git', {
  skip: NO_OPENSSH,
}, async () => {
  await using site = new PeopleSite();
  const ann = await site.person('ann', '--access', 'admin');
  const allowed: string[] = [];
  const keys = new Map<string, string>();
  for (const [type, options] of Object.entries(TYPES)) {
    const path = await site.key(`key-${type}`, [...options]);
    await site.did('key', 'add', 'ann', `${path}.pub`);
    allowed.push(`ann ${readFileSync(`${path}.pub`, 'utf8')}`);
    keys.set(type, path);
  }
  keys.set('stranger', await site.key('stranger'));
  const deploy = await site.key('deploy');
  await site.did('key', 'add', '--deploy', 'a', `${deploy}.pub`, '--name', 'machine');
  keys.set('deploy', deploy);
  await site.start();
  await site.commit();
  const git = async (...args: string[]): Promise<string> => {
    const { code, stderr, stdout } = await run('git', ['-C', site.work, ...args], { env: GIT_ENVIRONMENT });
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  const allowedPath = join(site.directory, 'allowed');
  writeFileSync(allowedPath, allowed.join(''));
  await git('config', 'gpg.format', 'ssh');
  await git('config', 'gpg.ssh.allowedSignersFile', allowedPath);
  for (const [name, key] of keys)
    await git('-c', `user.signingKey=${key}`, 'commit', '-q', '-S', '--allow-empty', '-m', name);
  // A signature of another text, and one that is none.
  const signed = await run('git', ['-C', site.work, 'cat-file', 'commit', 'HEAD~2'], {
    env: GIT_ENVIRONMENT,
  });
  for (const [subject, text] of [
    ['changed', signed.stdout.replace(/\nrsa\n/, '\nchanged\n')],
    ['damaged', signed.stdout.replace(/\n U1NIU0lH[^\n]*/, '\n U1NIU0lH').replace(/\nrsa\n/, '\ndamaged\n')],
  ] as const) {
    const path = join(site.directory, subject);
    writeFileSync(path, text);
    const oid = await git('hash-object', '-t', 'commit', '-w', '--literally', path);
    await git('update-ref', `refs/heads/${subject}`, oid);
  }
  const { code, stderr } = await site.git(
    ann,
    '-C',
    site.work,
    'push',
    '-q',
    site.url({ http: ann.http }, 'a.git'),
    '--all',
  );
  assert.equal(code, 0, stderr);

  const shown = async (path: string): Promise<Response> =>
    await fetch(`${site.report.http}/-/console/repository/a.git/-/${path}`, {
      headers: { authorization: `Basic ${btoa(ann.http)}` },
    });
  const listed = Object(await (await shown('commits?ref=main&format=json')).json());
  const byGit = (await git('log', '--format=%s %G?', 'main')).split('\n');
  assert.deepEqual(
    listed.commits.map(({ signedBy, subject }: Record<string, string | null>) => [subject, signedBy]),
    byGit.map((line) => {
      const [subject, state] = line.split(' ');
      return [subject, state === 'G' ? 'ann' : null];
    }),
  );
  assert.equal(byGit.filter((line) => line.endsWith(' G')).length, 3);
  for (const [revision, text] of [
    ['main~2', 'SSH, verified: ann'],
    ['main~1', 'SSH, not verified: nobody here has its key'],
    ['main', 'SSH, not verified: nobody here has its key'],
    ['changed', 'SSH, not verified: the signature is not that of the commit'],
    ['damaged', 'SSH, not verified: the signature is damaged'],
  ] as const)
    assert.match(await (await shown(`commit/${revision}`)).text(), new RegExp(`<dd>${text}</dd>`), revision);
  assert.match(await (await shown('compare/main~4...main')).text(), /SSH, verified: ann/);
});
